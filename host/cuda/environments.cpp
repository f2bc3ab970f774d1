#include "host/cuda/environments.h"

#include <cstring>

namespace lockstep::cuda {
namespace {

template <class Operations>
const Operations* find_in(std::span<const Operations* const> list, const char* environment) {
  for (const Operations* operations : list) {
    if (std::strcmp(operations->name, environment) == 0) return operations;
  }
  return nullptr;
}

}  // namespace

const Operations* find_operations(const char* environment) {
  return find_in(operations_list(), environment);
}
const TableOperations* find_table_operations(const char* environment) {
  return find_in(table_operations_list(), environment);
}

}  // namespace lockstep::cuda
