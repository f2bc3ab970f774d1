// Tests for host/text.h.
#include "host/text.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <tuple>
#include <vector>

namespace lockstep {
namespace text_test {

TEST(PrintableTest, KeepsTextAndReplacesControlsAndMalformedBytes) {
  const std::string bad = "\xEF\xBF\xBD";
  const std::tuple<std::string, std::string> cases[] = {
      {"cartpole ü € 😀", "cartpole ü € 😀"},
      {"a\x1b[2Jb\n", "a?[2Jb?"},
      {"\x7f", "?"},
      {"\xC2\x9B", "?"},                            // C1 control, which terminals may obey
      {"\xC0\xAF", bad + bad},                      // overlong
      {"\xE0\x80\x80", bad + bad + bad},            // overlong
      {"\xED\xA0\x80", bad + bad + bad},            // surrogate
      {"\xF4\x90\x80\x80", bad + bad + bad + bad},  // past U+10FFFF
      {"\xE2\x82", bad + bad},                      // cut off
      {"\xE2\x82x", bad + bad + "x"},
      {std::string(1, '\0'), "?"}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(printable(text), expected);
}

TEST(TextTest, Utf8CheckRejectsOverlongSurrogateAndControl) {
  EXPECT_TRUE(is_plain_utf8("runs/größe-日本-𝛑"));
  EXPECT_TRUE(is_plain_utf8(""));
  EXPECT_FALSE(is_plain_utf8("\xc0\xaf"));
  EXPECT_FALSE(is_plain_utf8("\xed\xa0\x80"));
  EXPECT_FALSE(is_plain_utf8("\xf5\x80\x80\x80"));
  EXPECT_FALSE(is_plain_utf8("\xe6\x97"));
  EXPECT_FALSE(is_plain_utf8("a\tb"));
  EXPECT_FALSE(is_plain_utf8("a\x7f"));
}

TEST(TextTest, AnExcerptIsShortAndEndsWithAWholeCharacter) {
  const std::string most(80, 'a');
  EXPECT_EQ(excerpt(most), most);
  EXPECT_EQ(in_quotes(most), "'" + most + "'");
  EXPECT_EQ(excerpt(most + "b"), most);
  EXPECT_EQ(in_quotes(most + "b"), "'" + most + "...'");
  for (const std::string character : {"ü", "€", "😀"}) {
    for (std::size_t inside = 1; inside < character.size(); ++inside) {
      const std::string before(80 - inside, 'a');
      EXPECT_EQ(excerpt(before + character), before) << character << inside;
    }
    const std::string before(80 - character.size(), 'a');
    EXPECT_EQ(excerpt(before + character + "b"), before + character);
  }
  EXPECT_EQ(in_quotes("a\nb\xff"), "'a?b\xEF\xBF\xBD'");
  const std::string stray(200, '\x80');  // continues nothing
  EXPECT_EQ(excerpt(stray), printable(stray.substr(0, 77)));
}

TEST(TextTest, OneLineHasNoLineEnds) { EXPECT_EQ(one_line("a\r\n\tü"), "a   ü"); }

TEST(TextTest, ShapesAndNumbersAreShown) {
  EXPECT_EQ(shape_text(std::vector<std::int64_t>{}), "[]");
  EXPECT_EQ(shape_text(std::vector<std::int64_t>{3, 40}), "[3, 40]");
  EXPECT_EQ(format_real(2), "2.0");
  EXPECT_EQ(format_real(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(format_real(std::numeric_limits<double>::quiet_NaN()), "nan");
}

}  // namespace text_test
}  // namespace lockstep
