/// Calls the parts of a program, which are PARTS, a list of PART(name): all must find the same bits. With the
/// name of one, that one makes a mistake.

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define PART(name) std::uint64_t name(bool make_a_mistake);
PARTS
#undef PART

int main(int argc, char** argv) {
  struct Part {
    const char* name;
    std::uint64_t (*run)(bool);
  };
#define PART(name) {#name, name},
  const Part parts[] = {PARTS};
#undef PART
  std::signal(SIGABRT, [](int) { std::_Exit(3); });  // so that the test can tell an abort from a crash
  std::uint64_t first = 0;
  for (const Part& part : parts) {
    const std::uint64_t hash = part.run(argc > 1 && std::strcmp(argv[1], part.name) == 0);
    std::printf("%s %016llx\n", part.name, static_cast<unsigned long long>(hash));
    if (first == 0) first = hash;
    if (hash == 0 || hash != first) return 1;
  }
}
