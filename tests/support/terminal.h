// A terminal that understands what the program writes to one, so that a test can look at the
// screen. Anything it does not know fails the test. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::test {

class Terminal {
 public:
  struct Cell {
    std::string text = " ";
    std::uint32_t foreground = kDefault, background = kDefault;
    bool operator==(const Cell&) const = default;
    /// The colours of its upper and lower half.
    std::uint32_t upper() const { return text == "▀" ? foreground : background; }
    std::uint32_t lower() const { return background; }
  };
  static constexpr std::uint32_t kDefault = 0xffffffff;

  Terminal(int rows, int columns) : rows_(rows), columns_(columns) { clear(); }

  void feed(std::string_view bytes) {
    while (!bytes.empty()) {
      if (bytes.starts_with("\x1b[")) {
        const std::size_t end = bytes.find_first_not_of("0123456789;?", 2);
        ASSERT_NE(end, std::string_view::npos) << "a cut sequence";
        control(bytes.substr(2, end - 2), bytes[end]);
        bytes.remove_prefix(end + 1);
      } else {
        const std::size_t size = static_cast<unsigned char>(bytes[0]) >= 0xe0 ? 3 : 1;
        put(std::string(bytes.substr(0, size)));
        bytes.remove_prefix(size);
      }
    }
  }

  const Cell& at(int row, int column) const {
    return cells_[static_cast<std::size_t>(row * columns_ + column)];
  }
  const std::vector<Cell>& cells() const { return cells_; }
  /// Characters of a row without spaces at its end.
  std::string line(int row) const {
    std::string text;
    for (int x = 0; x < columns_; ++x) text += at(row, x).text;
    return text.substr(0, text.find_last_not_of(' ') + 1);
  }
  int written() const { return written_; }  // characters so far
  bool alternate = false, cursor_hidden = false;

 private:
  void clear() { cells_.assign(static_cast<std::size_t>(rows_ * columns_), {}); }
  std::vector<std::uint32_t> numbers(std::string_view text) {
    std::vector<std::uint32_t> result = {0};
    for (const char c : text) {
      if (c == ';') {
        result.push_back(0);
      } else {
        result.back() = result.back() * 10 + static_cast<std::uint32_t>(c - '0');
      }
    }
    return result;
  }
  void control(std::string_view parameters, char command) {
    if (parameters.starts_with("?")) {
      const bool on = command == 'h';
      if (parameters == "?1049") {
        alternate = on;
      } else if (parameters == "?25") {
        cursor_hidden = !on;
      } else {
        FAIL() << "mode " << parameters;
      }
      return;
    }
    const std::vector<std::uint32_t> n = numbers(parameters);
    if (command == 'H') {
      ASSERT_EQ(n.size(), 2u);
      row_ = static_cast<int>(n[0]) - 1;
      column_ = static_cast<int>(n[1]) - 1;
    } else if (command == 'J') {
      clear();
    } else if (command == 'K') {
      for (int x = column_; x < columns_; ++x) cell(row_, x) = {" ", kDefault, background_};
    } else if (command == 'm' && n.size() == 5 && n[1] == 2) {
      (n[0] == 38 ? foreground_ : background_) = n[2] << 16 | n[3] << 8 | n[4];
    } else if (command == 'm' && n.size() == 1 && n[0] == 0) {
      foreground_ = background_ = kDefault;
    } else {
      FAIL() << "sequence " << parameters << command;
    }
  }
  void put(const std::string& text) {
    ASSERT_TRUE(row_ >= 0 && row_ < rows_ && column_ >= 0 && column_ < columns_)
        << "outside: " << row_ << ", " << column_;
    // a space shows no foreground
    cell(row_, column_++) = {text, text == " " ? kDefault : foreground_, background_};
    ++written_;
  }
  Cell& cell(int row, int column) {
    return cells_[static_cast<std::size_t>(row * columns_ + column)];
  }

  int rows_, columns_, row_ = 0, column_ = 0, written_ = 0;
  std::uint32_t foreground_ = kDefault, background_ = kDefault;
  std::vector<Cell> cells_;
};

}  // namespace lockstep::test
