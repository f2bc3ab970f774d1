// A program that saves badly, for the self-test of syscall_fault_test.cpp: it counts updates and
// saves each in `run`/checkpoints as train does, but writes in place, or hears no error.
//
// usage: bad_writer in-place|deaf RUN UPDATES
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "host/errors.h"
#include "host/files/checkpoint.h"

namespace {

namespace fs = std::filesystem;
using namespace lockstep;

bool write_plainly(const fs::path& path, const std::string& content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return false;
  const bool written =
      ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  const bool synced = ::fsync(fd) == 0;
  return ::close(fd) == 0 && written && synced;
}

/// The files of a right checkpoint, made in a folder where no fault is planted.
bool copy_files(const fs::path& from, const fs::path& to) {
  bool good = true;
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "trainer.json"}) {
    std::ifstream file(from / name, std::ios::binary);
    good &= write_plainly(to / name, {std::istreambuf_iterator<char>(file), {}});
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const bool in_place = std::string(argv[1]) == "in-place";
  const fs::path folder = fs::path(argv[2]) / "checkpoints";
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  std::int64_t update = 0;
  try {
    update = load_checkpoint(newest_checkpoint(folder)).trainer.at("update").get<std::int64_t>();
  } catch (const Error&) {
    // starts anew
  }
  std::string scratch = (fs::path(argv[2]).parent_path() / "right.XXXXXX").string();
  if (::mkdtemp(scratch.data()) == nullptr) return 1;
  bool good = true;
  while (good && update < std::stol(argv[3])) {
    ++update;
    Checkpoint checkpoint;
    checkpoint.model = {
        {"layer1.weight", {1, 4}, std::vector<float>(4, static_cast<float>(update))}};
    checkpoint.trainer = {{"update", update}};
    const fs::path right = save_checkpoint(scratch, update, checkpoint);
    if (in_place) {
      ::mkdir((folder / "00000001").c_str(), 0755);
      good = copy_files(right, folder / "00000001");
    } else {
      const fs::path temporary = folder / "new";
      ::mkdir(temporary.c_str(), 0755);
      copy_files(right, temporary);
      ::rename(temporary.c_str(), (folder / right.filename()).c_str());
    }
  }
  fs::remove_all(scratch, ignored);
  return good ? 0 : 6;
}
