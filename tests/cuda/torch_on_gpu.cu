#include <kronecker/integrations/torch_cuda.cuh>
