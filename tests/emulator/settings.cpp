#include "tests/emulator/settings.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace cuemu {
namespace {

[[noreturn]] void refuse(const char* name, const char* text) {
  std::fprintf(stderr, "cuemu: %s=%s is not a value it can have\n", name, text);
  std::_Exit(kExitStatus);
}

template <class T>
void read_number(const char* name, T& value, long long low) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return;
  char* end = nullptr;
  const long long number = std::strtoll(text, &end, 0);
  if (end == text || *end != '\0' || number < low) refuse(name, text);
  value = static_cast<T>(number);
}

void read_flag(const char* name, bool& value) {
  int number = value ? 1 : 0;
  read_number(name, number, 0);
  value = number != 0;
}

void read_order(Order& order) {
  const char* const text = std::getenv("LS_EMULATOR_ORDER");
  if (text == nullptr) return;
  const std::string_view name = text;
  if (name == "forward") {
    order = Order::kForward;
  } else if (name == "reverse") {
    order = Order::kReverse;
  } else if (name == "random") {
    order = Order::kRandom;
  } else {
    refuse("LS_EMULATOR_ORDER", text);
  }
}

void read_device(Device& device) {
  const char* const text = std::getenv("LS_EMULATOR_DEVICE");
  if (text != nullptr) {
    const Device* const found = find_device(text);
    if (found == nullptr) refuse("LS_EMULATOR_DEVICE", text);
    device = *found;
  }
  read_number("LS_EMULATOR_SHARED", device.shared_block, kPlainShared);
  device.shared = std::max(device.shared, device.shared_block);
}

void read_failure(Settings& result) {
  const char* const text = std::getenv("LS_EMULATOR_FAIL");
  if (text == nullptr) return;
  char* end = nullptr;
  result.fail_call = std::strtol(text, &end, 10);
  if (end == text || result.fail_call < 0) refuse("LS_EMULATOR_FAIL", text);
  if (*end == ':') {
    const char* const code = end + 1;
    result.fail_error = static_cast<int>(std::strtol(code, &end, 10));
    if (end == code || result.fail_error <= 0) refuse("LS_EMULATOR_FAIL", text);
  }
  if (*end != '\0') refuse("LS_EMULATOR_FAIL", text);
}

void read_registers(std::map<std::uintptr_t, Compiled>& compiled) {
  static constexpr const char* kName = "LS_EMULATOR_REGISTERS";
  const char* const text = std::getenv(kName);
  if (text == nullptr) return;
  std::ifstream file(text);
  std::uintptr_t place = 0;
  for (Compiled one; file >> std::hex >> place >> std::dec >> one.registers >> one.threads;) {
    if (one.registers > kMostRegisters) refuse(kName, text);
    compiled[place] = one;
  }
  if (!file.eof() || compiled.empty()) refuse(kName, text);
}

Settings read_settings() {
  Settings result;
  read_order(result.order);
  read_number("LS_EMULATOR_SEED", result.seed, 0);
  read_number("LS_EMULATOR_RESIDENT", result.resident_blocks, 1);
  read_flag("LS_EMULATOR_STRICT", result.strict);
  read_flag("LS_EMULATOR_POISON", result.poison);
  read_flag("LS_EMULATOR_INITCHECK", result.initcheck);
  read_number("LS_EMULATOR_DEVICES", result.devices, 0);
  read_device(result.device);
  read_number("LS_EMULATOR_MEMORY", result.memory_bytes, 0);
  read_number("LS_EMULATOR_DRIVER", result.driver_version, 0);
  read_registers(result.compiled);
  read_failure(result);
  return result;
}

}  // namespace

const Device* find_device(std::string_view name) {
  const auto* const at = std::find_if(std::begin(kDevices), std::end(kDevices),
                                      [&](const Device& device) { return device.name == name; });
  return at == std::end(kDevices) ? nullptr : at;
}

const Settings& settings() {
  static const Settings result = read_settings();
  return result;
}

void stop(const std::string& message) {
  static constexpr const char* kNames[] = {"forward", "reverse", "random"};
  std::fflush(stdout);
  std::fprintf(stderr,
               "cuemu: %s\n  replay: LS_EMULATOR_ORDER=%s LS_EMULATOR_SEED=%llu "
               "LS_EMULATOR_RESIDENT=%d\n",
               message.c_str(), kNames[static_cast<int>(settings().order)],
               static_cast<unsigned long long>(settings().seed), settings().resident_blocks);
  std::fflush(stderr);
  std::_Exit(kExitStatus);
}

std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace cuemu
