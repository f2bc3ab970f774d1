// Whether a text is well-formed XML of the kind our writers make: elements, attributes in double
// quotes, text with the five named entities and numeric ones; no CDATA, comments, or DTD. Test
// code.
#pragma once

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::test {

/// Why `text` cannot stand between tags or quotes; empty if it can.
inline std::string xml_text_error(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '<') return "a bare <";
    if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') return "a control character";
    if (c != '&') continue;
    const std::size_t end = text.find(';', i);
    const std::string_view name =
        end == std::string_view::npos ? "" : text.substr(i + 1, end - i - 1);
    if (name != "amp" && name != "lt" && name != "gt" && name != "quot" && name != "#39") {
      return "a bare &";
    }
  }
  return "";
}

/// Why `text` is not one well-formed element; empty if it is.
inline std::string xml_error(std::string_view text) {
  std::vector<std::string> open;
  bool seen = false;
  while (!text.empty()) {
    const std::size_t begin = text.find('<');
    const std::string_view between = text.substr(0, begin);
    if (const std::string error = xml_text_error(between); !error.empty()) return error;
    if (open.empty() && between.find_first_not_of(" \n") != std::string_view::npos) {
      return "text outside the root";
    }
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin + 1);
    const bool closes = text.starts_with('/');
    if (closes) text.remove_prefix(1);
    std::size_t at = 0;
    while (at < text.size() && std::isalnum(static_cast<unsigned char>(text[at]))) ++at;
    const std::string name(text.substr(0, at));
    if (name.empty()) return "a tag without a name";
    while (at < text.size() && text[at] == ' ') {  // attributes: name="value"
      const std::size_t quote = text.find("=\"", at);
      const std::size_t end = quote == std::string_view::npos ? quote : text.find('"', quote + 2);
      if (end == std::string_view::npos) return "a broken attribute in <" + name;
      const std::string error = xml_text_error(text.substr(quote + 2, end - quote - 2));
      if (!error.empty()) return error + " in an attribute of <" + name;
      at = end + 1;
    }
    const bool empty = text.substr(at).starts_with("/>");
    if (!empty && !text.substr(at).starts_with('>')) return "a broken tag <" + name;
    text.remove_prefix(at + (empty ? 2 : 1));
    if (closes) {
      if (open.empty() || open.back() != name) return "</" + name + "> closes nothing";
      open.pop_back();
    } else if (open.empty() && seen) {
      return "a second root";
    } else if (!empty) {
      open.push_back(name);
    }
    seen = true;
  }
  if (!open.empty()) return "<" + open.back() + "> is never closed";
  return seen ? "" : "no element";
}

}  // namespace lockstep::test
