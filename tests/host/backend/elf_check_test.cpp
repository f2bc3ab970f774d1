// Tests for host/backend/elf_check.h: a module that is cut off anywhere, or ends in what was never
// written, is told from a whole one.
#include "host/backend/elf_check.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "tests/support/process.h"

namespace lockstep {
namespace elf_check_test {

using ::testing::HasSubstr;

class ElfFaultTest : public ::testing::Test {
 protected:
  std::string fault_of(const std::string& bytes) const {
    test::spill(folder_ / "module.so", bytes);
    return elf_fault(folder_ / "module.so");
  }
  const std::string whole_ = test::slurp(LS_MODULE);
  test::ScratchFolder folder_;
};

TEST_F(ElfFaultTest, AWholeModuleHasNone) {
  ASSERT_GT(whole_.size(), 10000u);
  EXPECT_EQ(elf_fault(LS_MODULE), "");
  EXPECT_EQ(elf_fault("/proc/self/exe"), "");
}

TEST_F(ElfFaultTest, EveryCutIsNoticed) {
  for (std::size_t size = 0; size < whole_.size(); size += size < 5000 ? 97 : 1999) {
    EXPECT_THAT(fault_of(whole_.substr(0, size)), HasSubstr("damaged: ")) << size;
  }
  for (std::size_t lost = 1; lost < 200; ++lost) {
    EXPECT_THAT(fault_of(whole_.substr(0, whole_.size() - lost)), HasSubstr("damaged: ")) << lost;
  }
}

TEST_F(ElfFaultTest, AnEndThatWasNeverWrittenIsNoticed) {
  Elf64_Ehdr header;
  std::memcpy(&header, whole_.data(), sizeof header);
  std::string bytes = whole_;
  bytes.replace(header.e_shoff, std::string::npos, bytes.size() - header.e_shoff, '\0');
  EXPECT_THAT(fault_of(bytes), HasSubstr("damaged: "));
}

TEST_F(ElfFaultTest, NumbersThatOverflowAreNoticed) {
  Elf64_Ehdr header;
  std::memcpy(&header, whole_.data(), sizeof header);
  const auto with = [&](std::uint64_t Elf64_Ehdr::*field) {
    Elf64_Ehdr changed = header;
    changed.*field = ~std::uint64_t{0} - 8;
    std::string bytes = whole_;
    std::memcpy(bytes.data(), &changed, sizeof changed);
    return fault_of(bytes);
  };
  EXPECT_THAT(with(&Elf64_Ehdr::e_phoff), HasSubstr("damaged: "));
  EXPECT_THAT(with(&Elf64_Ehdr::e_shoff), HasSubstr("damaged: "));
  std::string bytes = whole_;
  Elf64_Phdr segment;
  std::memcpy(&segment, bytes.data() + header.e_phoff, sizeof segment);
  segment.p_type = PT_LOAD;
  segment.p_offset = 64;
  segment.p_filesz = ~std::uint64_t{0} - 8;
  std::memcpy(bytes.data() + header.e_phoff, &segment, sizeof segment);
  EXPECT_THAT(fault_of(bytes), HasSubstr("a segment ends"));
}

TEST_F(ElfFaultTest, WhatIsNoModuleIsSaid) {
  EXPECT_EQ(fault_of(std::string(100, 'x')), "not a module of this system");
  EXPECT_THAT(elf_fault(folder_ / "missing.so"), HasSubstr("missing.so"));
  EXPECT_THAT(elf_fault(folder_.path()), HasSubstr("not a regular file"));
}

}  // namespace elf_check_test
}  // namespace lockstep
