#pragma once
// Accidents on purpose: named points of the program at which the tests of restarting let a write
// fail, stop a process or kill it. Without the environment variable SKYLOOM_TEST_ACCIDENT every
// point is one comparison.
//
//   SKYLOOM_TEST_ACCIDENT=point=action[@n[+]][#rank][,...]
//
// The n-th passage of a process through the point (the first when absent; with + every later one
// too) meets the accident, on one rank or on all. Actions:
//   stop  the process stops itself (SIGSTOP), as if it were stuck in input or output
//   kill  the process kills itself (SIGKILL)
//   fail  the call fails with EIO
//   full  the call fails with ENOSPC
//   cut   half of the bytes are written, as at the edge of a quota
//   torn  half of the bytes are written and the process is killed
// The file layer answers to the points `write`, `read`, `sync` and `rename`, the question for free
// space to `space=full`; the other points know only stop and kill.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace skyloom::io {

enum class Accident : std::uint8_t { none, fail, full, cut, torn };

/// Passes a named point. Does not return from a kill.
/// @throws FatalError when SKYLOOM_TEST_ACCIDENT cannot be understood
Accident pass_point(std::string_view point);
/// Replaces what the environment said.
void set_accidents(const std::string& text);

/// pwrite, pread, fsync (or fdatasync) and rename as the system has them, repeated while signals
/// interrupt them, and passing the points of the file layer. Results and errno as of the system.
std::ptrdiff_t write_at(int descriptor, std::string_view bytes, std::uint64_t offset);
std::ptrdiff_t read_at(int descriptor, void* bytes, std::size_t count, std::uint64_t offset);
int sync_data(int descriptor);
int rename_file(const char* from, const char* to);

}  // namespace skyloom::io
