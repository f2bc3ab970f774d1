// A .npy file from its parts, for seeds and mutations: numpy/lib/format.py, version 1.0. Test code
// only: the project itself writes archives alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep::fuzz {

/// `header` is the dictionary, such as "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }".
inline std::string npy_of(std::string_view header, std::string_view data) {
  const auto size = static_cast<std::uint16_t>(header.size());
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes.push_back(static_cast<char>(size & 0xff));
  bytes.push_back(static_cast<char>(size >> 8));
  return bytes.append(header.substr(0, size)).append(data);
}

inline std::string npy_of(std::string_view descr, std::string_view shape, std::string_view data) {
  return npy_of("{'descr': '" + std::string(descr) +
                    "', 'fortran_order': False, 'shape': " + std::string(shape) + ", }\n",
                data);
}

}  // namespace lockstep::fuzz
