#pragma once
// An empty folder under the system's temporary one, the same on every rank, gone at the end.

#include <filesystem>
#include <string>

#include <unistd.h>

#include "skyloom/parallel/comm.hpp"

class SharedFolder {
 public:
  explicit SharedFolder(const skyloom::parallel::Comm& comm) : comm_(comm) {
    std::string name;
    if (comm.rank() == 0) {
      name = std::filesystem::temp_directory_path() / "skyloom-test-XXXXXX";
      name = ::mkdtemp(name.data());
    }
    comm.broadcast(name);
    path_ = name;
  }
  ~SharedFolder() {
    comm_.barrier();
    if (comm_.rank() == 0) {
      std::error_code ignored;
      std::filesystem::remove_all(path_, ignored);
    }
  }
  SharedFolder(const SharedFolder&) = delete;
  SharedFolder& operator=(const SharedFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  const skyloom::parallel::Comm& comm_;
  std::filesystem::path path_;
};
