// Tests for host/files/checkpoint.h.
#include "host/files/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <functional>
#include <limits>

#include "host/errors.h"
#include "host/files/crc32c.h"
#include "host/files/safetensors.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace checkpoint_test {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ScratchFolder;
using test::slurp;
using test::spill;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

Checkpoint example(float value = 1.5f) {
  Checkpoint checkpoint;
  checkpoint.model = {{"layer1.weight", {2, 2}, {value, -0.0f, 1e-45f, 3}},
                      {"layer1.bias", {2}, {4, 5}}};
  checkpoint.optimizer = {{"layer1.bias.exp_avg", {2}, {6, 7}}};
  checkpoint.trainer = {{"update", 7},
                        {"seed", std::uint64_t{18446744073709551615u}},
                        {"beta1_power", 0.1 + 0.2},
                        {"tiny", 5e-324},
                        {"negative_zero", -0.0},
                        {"scores", {1.0, 2.5}},
                        {"config", {{"name", "caf\u00e9 \"x\"\n"}}}};
  return checkpoint;
}

bool same_bits(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name || a[i].shape != b[i].shape ||
        a[i].data.size() != b[i].data.size() ||
        std::memcmp(a[i].data.data(), b[i].data.data(), 4 * a[i].data.size()) != 0) {
      return false;
    }
  }
  return true;
}

bool same(const Checkpoint& a, const Checkpoint& b) {
  return same_bits(a.model, b.model) && same_bits(a.optimizer, b.optimizer) &&
         a.trainer.dump() == b.trainer.dump();
}

// Message of the BadInput (exit 4) that loading throws; empty if it loads.
std::string rejection(const fs::path& folder) {
  try {
    load_checkpoint(folder);
  } catch (const BadInput& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kBadInput);
    return error.what();
  }
  return "";
}

// Rewrites trainer.json by `edit` with a correct checksum, as an attacker would.
void forge(const fs::path& folder, const std::function<std::string(std::string)>& edit) {
  std::string text = slurp(folder / "trainer.json");
  text.resize(text.rfind(",\n  \"crc32c\""));
  text = edit(text) + ",\n  \"crc32c\": \"";
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", crc32c(text));
  spill(folder / "trainer.json", text + digits + "\"\n}\n");
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

const char* const kFiles[] = {"model.safetensors", "optimizer.safetensors", "trainer.json"};

TEST(SaveCheckpoint, IsReadBackBitForBit) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path folder = save_checkpoint(scratch / "checkpoints", 7, example());
  EXPECT_EQ(folder, scratch / "checkpoints/00000007");
  EXPECT_TRUE(same(load_checkpoint(folder), example()));
  EXPECT_THAT(scratch.names("checkpoints"), ElementsAre("00000007", "last"));
  EXPECT_THAT(scratch.names("checkpoints/00000007"), testing::ElementsAreArray(kFiles));
}

TEST(SaveCheckpoint, IsDeterministic) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path a = save_checkpoint(scratch / "a", 1, example());
  const fs::path b = save_checkpoint(scratch / "b", 1, example());
  for (const char* file : kFiles) EXPECT_EQ(slurp(a / file), slurp(b / file)) << file;
}

TEST(SaveCheckpoint, MovesLastAndKeepsItForNamedOnes) {
  const ScratchFolder scratch(test::memory_folder());
  save_checkpoint(scratch.path(), 1, example());
  save_checkpoint(scratch.path(), 2, example());
  EXPECT_EQ(fs::read_symlink(scratch / "last"), "00000002");
  EXPECT_EQ(save_checkpoint(scratch.path(), "best", example(9)), scratch / "best");
  EXPECT_EQ(fs::read_symlink(scratch / "last"), "00000002");
  EXPECT_TRUE(same(load_checkpoint(scratch / "best"), example(9)));
}

// As cp -rL, scp -r or an unpacked upload leave it; what is only in the copy stays.
TEST(SaveCheckpoint, MakesALinkAgainOfALastThatWasCopied) {
  const ScratchFolder scratch(test::memory_folder());
  save_checkpoint(scratch.path(), 1, example(1));
  for (const char* from : {"00000001", "gone/00000007", "gone/00000007"}) {
    save_checkpoint(scratch / "gone", 7, example(7));
    fs::remove(scratch / "last");
    fs::copy(scratch / from, scratch / "last");
    save_checkpoint(scratch.path(), 2, example(2));
    EXPECT_EQ(fs::read_symlink(scratch / "last"), "00000002");
  }
  EXPECT_THAT(scratch.names(),
              ElementsAre("00000001", "00000002", "gone", "last", "last-copy", "last-copy-2"));
  EXPECT_TRUE(same(load_checkpoint(scratch / "last-copy-2"), example(7)));
}

TEST(SaveCheckpoint, ReplacesTheSameUpdate) {
  const ScratchFolder scratch(test::memory_folder());
  save_checkpoint(scratch.path(), 1, example(1));
  save_checkpoint(scratch.path(), 1, example(2));
  EXPECT_TRUE(same(load_checkpoint(scratch / "00000001"), example(2)));
  EXPECT_THAT(scratch.names(), ElementsAre("00000001", "last"));
}

TEST(SaveCheckpoint, RefusesWhatMustNotBeSaved) {
  const ScratchFolder scratch(test::memory_folder());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Checkpoint bad = example();
  bad.model[0].data[1] = static_cast<float>(nan);
  EXPECT_THROW(save_checkpoint(scratch.path(), 1, bad), NumericError);
  bad = example();
  bad.optimizer[0].data[1] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(save_checkpoint(scratch.path(), 1, bad), NumericError);
  bad = example();
  bad.trainer["config"]["list"] = {1.0, nan};
  EXPECT_THROW(save_checkpoint(scratch.path(), 1, bad), NumericError);
  bad = example();
  bad.trainer["crc32c"] = 1;
  EXPECT_THROW(save_checkpoint(scratch.path(), 1, bad), InvalidArgument);
  bad.trainer = 3;
  EXPECT_THROW(save_checkpoint(scratch.path(), 1, bad), InvalidArgument);
  EXPECT_THROW(save_checkpoint(scratch.path(), -1, example()), InvalidArgument);
  for (const char* name : {"", "last", "00000001", "../up", "a.old", "tmp.1"}) {
    EXPECT_THROW(save_checkpoint(scratch.path(), name, example()), InvalidArgument) << name;
  }
  EXPECT_TRUE(scratch.names().empty());
}

TEST(SaveCheckpoint, FailedSaveKeepsTheOldCheckpoint) {
  const ScratchFolder scratch(test::memory_folder());
  save_checkpoint(scratch.path(), 1, example(1));
  Checkpoint big = example(2);
  big.model.push_back({"big", {100'000}, std::vector<float>(100'000)});
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{50'000, 50'000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(1);
    try {
      save_checkpoint(scratch.path(), 1, big);
    } catch (const IoError&) {
      ::_exit(42);
    }
    ::_exit(2);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_TRUE(same(load_checkpoint(scratch / "00000001"), example(1)));
  EXPECT_THAT(scratch.names(), ElementsAre("00000001", "last"));
}

TEST(LoadCheckpoint, RejectsEveryFlippedBit) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path folder = save_checkpoint(scratch.path(), 1, example());
  std::size_t cases = 0;
  for (const char* file : kFiles) {
    const std::string good = slurp(folder / file);
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit, ++cases) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
      spill(folder / file, bad);
      ASSERT_THAT(rejection(folder), HasSubstr(file)) << "bit " << bit;
    }
    spill(folder / file, good);
  }
  EXPECT_EQ(rejection(folder), "");
  EXPECT_GT(cases, 5000u);
}

TEST(LoadCheckpoint, RejectsEveryOtherLength) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path folder = save_checkpoint(scratch.path(), 1, example());
  for (const char* file : kFiles) {
    const std::string good = slurp(folder / file);
    for (std::size_t size = 0; size < good.size(); ++size) {
      spill(folder / file, std::string_view(good).substr(0, size));
      ASSERT_THAT(rejection(folder), HasSubstr(file)) << "cut at " << size;
    }
    for (const char* more : {"\n", "}", " "}) {
      spill(folder / file, good + more);
      ASSERT_THAT(rejection(folder), HasSubstr(file)) << "longer";
    }
    fs::remove(folder / file);
    ASSERT_THAT(rejection(folder), HasSubstr(file)) << "missing";
    spill(folder / file, good);
  }
}

TEST(LoadCheckpoint, RejectsAnyOtherTextAroundTheChecksum) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path folder = save_checkpoint(scratch.path(), 1, example());
  const std::string good = slurp(folder / "trainer.json");
  // the same JSON, the same covered bytes
  spill(folder / "trainer.json", good.substr(0, good.size() - 4) + "\" } ");
  EXPECT_THAT(rejection(folder), HasSubstr("does not end with its CRC-32C"));
}

TEST(LoadCheckpoint, RejectsFilesOfAnotherCheckpoint) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path one = save_checkpoint(scratch.path(), 1, example(1));
  const fs::path two = save_checkpoint(scratch.path(), 2, example(2));
  spill(one / "model.safetensors", slurp(two / "model.safetensors"));
  EXPECT_THAT(rejection(one), HasSubstr("model.safetensors is damaged"));
}

TEST(LoadCheckpoint, RefusesNewerSchemaVersions) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path folder = save_checkpoint(scratch.path(), 1, example());
  for (const char* version : {"2", "18446744073709551615"}) {
    forge(folder, [version](const std::string& text) {
      const std::size_t at = text.find("\"schema_version\": ") + 18;
      return text.substr(0, at) + version + text.substr(text.find_first_of(",\n", at));
    });
    EXPECT_THAT(rejection(folder), AllOf(HasSubstr("schema_version"), HasSubstr(version),
                                         HasSubstr("reads up to 1"), HasSubstr("newer lockstep")));
  }
}

TEST(LoadCheckpoint, RejectsForgedManifestsWithRightChecksums) {
  struct Forgery {
    const char *from, *to, *reason;
  };
  const std::string deep = ": " + std::string(100'000, '[');
  const std::string model_crc = "\"crc32c\": \"";
  const Forgery forgeries[] = {
      {"\"schema_version\": 1", "\"schema_version\": 0", "at least 1"},
      {"\"schema_version\": 1", "\"schema_version\": -1", "at least 1"},
      {"\"schema_version\": 1", "\"schema_version\": 1.0", "missing"},
      {"\"schema_version\": 1", "\"schema_version\": \"1\"", "missing"},
      {"\"schema_version\"", "\"other\"", "missing"},
      {"\"files\"", "\"other\"", "no size and checksum of model"},
      {"\"optimizer.safetensors\"", "\"other\"", "no size and checksum of optimizer"},
      {"\"size\": ", "\"size\": -", "no size and checksum"},
      {"\"size\": ", "\"size\": 1", "damaged"},
      {model_crc.c_str(), "\"crc32c\": \"x", "bad checksum"},
      {model_crc.c_str(), "\"crc32c\": \"0", "bad checksum"},
      {": ", deep.c_str(), "nested too deeply"},
      {"{", "{NaN", "not JSON"},
      {"{", "[", "not JSON"},
      {"\"update\": 7", "\"update\": 1e999", "not JSON"},
  };
  const ScratchFolder scratch(test::memory_folder());
  for (const Forgery& forgery : forgeries) {
    const fs::path folder = save_checkpoint(scratch.path(), 1, example());
    forge(folder,
          [&](const std::string& text) { return replaced(text, forgery.from, forgery.to); });
    EXPECT_THAT(rejection(folder), HasSubstr(forgery.reason)) << forgery.from << forgery.to;
  }
}

TEST(LoadCheckpoint, RejectsNonFiniteWeightsWithRightChecksums) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path folder = save_checkpoint(scratch.path(), 1, example(1.5f));
  const std::string good = slurp(folder / "model.safetensors");
  const std::string bad =
      replaced(good, std::string("\0\0\xc0\x3f", 4), std::string("\0\0\x80\x7f", 4));
  char old_crc[9], new_crc[9];
  std::snprintf(old_crc, sizeof old_crc, "%08x", crc32c(good));
  std::snprintf(new_crc, sizeof new_crc, "%08x", crc32c(bad));
  spill(folder / "model.safetensors", bad);
  forge(folder, [&](const std::string& text) { return replaced(text, old_crc, new_crc); });
  EXPECT_THAT(rejection(folder), HasSubstr("layer1.weight[0] is NaN or infinite"));
}

TEST(LoadCheckpoint, RejectsAMissingFolder) {
  const ScratchFolder scratch(test::memory_folder());
  EXPECT_THAT(rejection(scratch / "nothing"), HasSubstr("nothing/trainer.json"));
}

TEST(LoadCheckpoint, FindsTheFolderOfAKilledReplacement) {
  const ScratchFolder scratch(test::memory_folder());
  fs::rename(save_checkpoint(scratch.path(), "best", example(3)), scratch / "best.old");
  EXPECT_TRUE(same(load_checkpoint(scratch / "best"), example(3)));
  fs::rename(save_checkpoint(scratch.path(), 4, example(4)), scratch / "00000004.old");
  EXPECT_TRUE(same(load_checkpoint(newest_checkpoint(scratch.path())), example(4)));
}

TEST(NewestCheckpoint, IsTheHighestUpdateThatVerifies) {
  const ScratchFolder scratch(test::memory_folder());
  for (const std::int64_t update : {9, 10, 100'000'000, 11}) {
    save_checkpoint(scratch.path(), update, example());
  }
  save_checkpoint(scratch.path(), "best", example());
  fs::create_directory(scratch / "tmp.12345");
  EXPECT_EQ(newest_checkpoint(scratch.path()), scratch / "100000000");

  spill(scratch / "100000000/trainer.json", "{}");
  fs::remove(scratch / "00000011/model.safetensors");
  std::vector<std::string> skipped;
  EXPECT_EQ(newest_checkpoint(scratch.path(), &skipped), scratch / "00000010");
  EXPECT_THAT(skipped, ElementsAre(HasSubstr("100000000"), HasSubstr("00000011")));
}

TEST(NewestCheckpoint, SaysWhyThereIsNone) {
  const ScratchFolder scratch(test::memory_folder());
  EXPECT_THROW(newest_checkpoint(scratch / "missing"), BadInput);
  EXPECT_THROW(newest_checkpoint(scratch.path()), BadInput);
  spill(save_checkpoint(scratch.path(), 1, example()) / "trainer.json", "");
  try {
    newest_checkpoint(scratch.path());
    FAIL() << "accepted";
  } catch (const BadInput& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("no valid checkpoint"), HasSubstr("too short")));
  }
}

TEST(CheckpointUpdate, ReadsOnlyFolderNames) {
  EXPECT_EQ(checkpoint_update("run/checkpoints/00001000"), 1000);
  EXPECT_EQ(checkpoint_update("123456789"), 123456789);
  for (const char* name : {"1000", "best", "0000100x", "-0000001", "+0000001", "00000001.old", "",
                           "99999999999999999999"}) {
    EXPECT_EQ(checkpoint_update(name), -1) << name;
  }
}

TEST(PruneCheckpoints, KeepsTheNewestAndNamedOnes) {
  const ScratchFolder scratch(test::memory_folder());
  for (const std::int64_t update : {1, 2, 3, 4}) save_checkpoint(scratch.path(), update, example());
  save_checkpoint(scratch.path(), "best", example());
  EXPECT_EQ(prune_checkpoints(scratch.path(), 2), 2);
  EXPECT_THAT(scratch.names(), ElementsAre("00000003", "00000004", "best", "last"));
  EXPECT_EQ(prune_checkpoints(scratch.path(), 2), 0);
  EXPECT_THROW(prune_checkpoints(scratch.path(), 0), InvalidArgument);
}

TEST(PruneCheckpoints, NeverCountsADamagedOne) {
  const ScratchFolder scratch(test::memory_folder());
  for (const std::int64_t update : {1, 2, 3, 4}) save_checkpoint(scratch.path(), update, example());
  spill(scratch / "00000004/trainer.json", "");
  spill(scratch / "00000003/model.safetensors", "");
  EXPECT_EQ(prune_checkpoints(scratch.path(), 1), 1);
  EXPECT_EQ(newest_checkpoint(scratch.path()), scratch / "00000002");
}

TEST(LoadModel, TakesFoldersRunsAndBareFiles) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path folder = save_checkpoint(scratch / "run/checkpoints", 1, example(1));
  save_checkpoint(scratch / "run/checkpoints", 2, example(2));
  EXPECT_TRUE(same_bits(load_model(folder), example(1).model));
  EXPECT_TRUE(same_bits(load_model(scratch / "run"), example(2).model));
  EXPECT_TRUE(same_bits(load_model(scratch / "run/checkpoints"), example(2).model));
  EXPECT_TRUE(same_bits(load_model(scratch / "run/checkpoints/last"), example(2).model));
  EXPECT_TRUE(same_bits(load_model(folder / "model.safetensors"), example(1).model));
  EXPECT_THROW(load_model(scratch / "missing"), BadInput);
  EXPECT_THROW(load_model(scratch.path()), BadInput);
}

TEST(LoadModel, RejectsNonFiniteValuesOfABareFile) {
  const ScratchFolder scratch(test::memory_folder());
  spill(scratch / "m",
        serialize_safetensors({{"a", {1}, {std::numeric_limits<float>::infinity()}}}));
  EXPECT_THROW(load_model(scratch / "m"), BadInput);
}

}  // namespace checkpoint_test
}  // namespace lockstep
