#pragma once

/// The command line in UTF-8. On Windows `argv` is in a code page that cannot spell most of the world's names
/// and words, and stays so with msvcrt.dll; elsewhere it is what was typed.

#include <string>
#include <vector>

#ifdef _WIN32
#include <clocale>
#include <filesystem>

// Declared as windows.h and shellapi.h do, whose macros would be everywhere otherwise.
extern "C" {
__declspec(dllimport) wchar_t* __stdcall GetCommandLineW();
__declspec(dllimport) wchar_t** __stdcall CommandLineToArgvW(const wchar_t* line, int* count);
__declspec(dllimport) void* __stdcall LocalFree(void* memory);
}
#endif

namespace kron {

/// The program's name and its arguments.
inline std::vector<std::string> utf8_arguments(int argc, char** argv) {
#ifdef _WIN32
  // File names are made of them, which libraries take for UTF-8 then. The old msvcrt.dll knows no such
  // locale.
  const bool has_utf8 = std::setlocale(LC_CTYPE, ".UTF-8") != nullptr;
  int count = 0;
  if (wchar_t** const words = has_utf8 ? ::CommandLineToArgvW(::GetCommandLineW(), &count) : nullptr) {
    std::vector<std::string> arguments;
    for (int i = 0; i < count; ++i) {
      const std::u8string word = std::filesystem::path(words[i]).u8string();
      arguments.emplace_back(word.begin(), word.end());
    }
    ::LocalFree(words);
    return arguments;
  }
#endif
  return {argv, argv + argc};
}

}  // namespace kron
