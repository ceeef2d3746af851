#include <kronecker/kronecker.hpp>

int main() {
  const kronecker::KroneckerEncoder<256, 16> encoder;
  return encoder.decode(encoder.encode(" unfox")) == " unfox" ? 0 : 1;
}
