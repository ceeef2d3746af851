#pragma once

/// What every function of the C interface does around its work: no exception and no C++ type leaves it.

#include "kronecker.h"

#include <kronecker/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace kronecker_c {

inline constexpr std::size_t message_size = 1024;
/// Messages of the last call of this thread that failed: one of a fixed size, so that an error can be told
/// when memory is short, and one for what is longer, as with a long path.
inline thread_local char short_message[message_size];
inline thread_local const char* message = "";  ///< The last one, in one of the two.
/// Within a function: g++ for Windows makes one of namespace scope twice where two files see it.
inline std::string& long_message() noexcept {
  static thread_local std::string text;
  return text;
}

/// Keeps a message. Where it is long and there is no memory for it, its middle is left out, since it begins
/// with a path and ends with what is wrong.
inline kronecker_status failed(kronecker_status status, const char* what) noexcept {
  constexpr char gap[] = " ... ";
  constexpr std::size_t most = message_size - 1, gap_size = sizeof gap - 1, head = 256;
  const std::size_t length = std::strlen(what);
  message = short_message;
  if (length <= most) {
    std::memcpy(short_message, what, length);
    short_message[length] = '\0';
    return status;
  }
  try {
    message = long_message().assign(what, length).c_str();
    return status;
  } catch (const std::bad_alloc&) {
  }
  const auto begins_character = [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; };
  std::size_t end = head, begin = length - (most - head - gap_size);
  while (end > head - 3 && !begins_character(what[end])) --end;
  while (begin < length && !begins_character(what[begin])) ++begin;
  std::memcpy(short_message, what, end);
  std::memcpy(short_message + end, gap, gap_size);
  std::memcpy(short_message + end + gap_size, what + begin, length - begin);
  short_message[end + gap_size + length - begin] = '\0';
  return status;
}

/// Does the work of a call; what it throws becomes a status and a message.
template <class Work>
kronecker_status guarded(Work&& work) noexcept {
  try {
    work();
    return KRONECKER_OK;
  } catch (const kronecker::FileError& error) {
    return failed(KRONECKER_FILE_ERROR, error.what());
  } catch (const std::out_of_range& error) {
    return failed(KRONECKER_OUT_OF_RANGE, error.what());
  } catch (const std::invalid_argument& error) {
    return failed(KRONECKER_INVALID_ARGUMENT, error.what());
  } catch (const std::bad_alloc&) {
    return failed(KRONECKER_OUT_OF_MEMORY, "there is not enough memory");
  } catch (const std::exception& error) {
    return failed(KRONECKER_INTERNAL_ERROR, error.what());
  } catch (...) {
    return failed(KRONECKER_INTERNAL_ERROR, "an unknown error");
  }
}

inline void check_pointer(const char* name, const void* pointer, std::size_t count = 1) {
  if (pointer == nullptr && count > 0) kronecker::detail::fail<std::invalid_argument>(name, " is null");
}

}  // namespace kronecker_c
