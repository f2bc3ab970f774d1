// See cuda_lab.h.
#include "bench/cuda_lab.h"

#include <algorithm>
#include <cmath>

#include "bench/cuda_bench.h"
#include "bench/cuda_peak.h"
#include "kernels/cuda/common.h"

namespace lockstep::bench {

using cuda::cuda_check;

namespace {

constexpr int kDevice = 0;

int attribute(cudaDeviceAttr name) {
  int value = 0;
  cuda_check(cudaDeviceGetAttribute(&value, name, kDevice), "reading a device's properties");
  return value;
}

/// Best of a few: a ceiling is what can be reached.
template <class Measure>
double best_of(int times, Measure&& measure) {
  double best = 0;
  for (int i = 0; i < times; ++i) best = std::max(best, measure());
  return best;
}

CudaCeilings measure_ceilings() {
  const bool tiny = cuda_is_emulated();
  cuda_check(cudaSetDevice(kDevice), "choosing a device");
  const cuda::Stream stream = cuda::make_stream();
  StreamTimer timer;
  CudaCeilings ceilings;

  const std::int64_t bytes = tiny ? 1 << 16 : std::int64_t{1} << 30;
  const auto memory = cuda::device_memory(2 * bytes, "a device with more is needed");
  // on the stream that is timed, which does not wait for another one
  cuda_check(cudaMemsetAsync(memory.data(), 0, static_cast<std::size_t>(2 * bytes), stream.get()),
             "filling memory");
  ceilings.copy = best_of(5, [&] {
    const double seconds = timer.seconds(stream.get(), [&] {
      cuda_check(
          cudaMemcpyAsync(memory.data() + bytes, memory.data(), static_cast<std::size_t>(bytes),
                          cudaMemcpyDeviceToDevice, stream.get()),
          "copying within the device");
    });
    return 2 * static_cast<double>(bytes) / std::max(seconds, 1e-9);
  });

  const int blocks = tiny ? 1 : 8 * attribute(cudaDevAttrMultiProcessorCount);
  const int rounds = tiny ? 4 : 20000;
  ceilings.fma = best_of(5, [&] {
    const double seconds = timer.seconds(stream.get(), [&] {
      cuda_check(
          launch_fma_chains(reinterpret_cast<float*>(memory.data()), blocks, rounds, stream.get()),
          "launching multiply-adds");
    });
    return fma_flops(blocks, rounds) / std::max(seconds, 1e-9);
  });
  return ceilings;
}

}  // namespace

const CudaCeilings& cuda_ceilings() {
  static const CudaCeilings ceilings = measure_ceilings();
  return ceilings;
}

const cuda::Operations* cuda_operations() {
  static const cuda::Operations* const operations = [] {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      static_cast<void>(cudaGetLastError());  // no driver, or one that is too old
      return static_cast<const cuda::Operations*>(nullptr);
    }
    return cuda::find_operations("cartpole");
  }();
  return operations;
}

std::unique_ptr<CudaBackend> make_cuda_backend(const Config& config) {
  auto backend = std::make_unique<CudaBackend>(config, find_environment(config.env),
                                               *cuda_operations(), CudaTuning{.device = kDevice});
  backend->upload(initial_state(config));
  return backend;
}

namespace {

/// What the backend under construction launches, noted on its way: the benchmarks need no door into
/// the backend then.
UpdateParts noted{};

cudaError_t note_rollout(const cuda::UpdateArgs& args, const cuda::LaunchShape& shape,
                         cudaStream_t stream) {
  noted.args = args;
  noted.shape = shape;
  return noted.operations.rollout(args, shape, stream);
}

/// A backend whose record and sums are those of a whole update.
std::unique_ptr<CudaBackend> after_an_update(const Sizes& sizes) {
  noted = {};
  noted.operations = *cuda_operations();
  static cuda::Operations noting;
  noting = noted.operations;
  noting.rollout = note_rollout;
  const Config config = workload_config(sizes);
  auto backend = std::make_unique<CudaBackend>(config, find_environment(config.env), noting,
                                               CudaTuning{.device = kDevice});
  backend->upload(initial_state(config));
  backend->update(0, config.lr);
  return backend;
}

cudaError_t launch_up_to_gradient(const UpdateParts& p) {
  for (const auto part :
       {p.operations.rollout, p.operations.returns, p.operations.baseline, p.operations.gradient}) {
    if (const cudaError_t error = part(p.args, p.shape, p.stream)) return error;
  }
  return cudaSuccess;
}

cudaError_t launch_parts(const UpdateParts& p) {
  if (const cudaError_t error = launch_up_to_gradient(p)) return error;
  return p.operations.finish(p.args, p.stream);
}

}  // namespace

cudaError_t launch_update(const UpdateParts& p) {
  return p.graph != nullptr ? cudaGraphLaunch(p.graph, p.stream) : launch_parts(p);
}

CudaLab::CudaLab(const Sizes& sizes)
    : sizes_(sizes),
      backend_(after_an_update(sizes)),
      stream_(cuda::make_stream()),
      parts_(noted),
      flushed_(cuda::device_memory(
          std::max<std::int64_t>(4096, 2 * std::int64_t{attribute(cudaDevAttrL2CacheSize)}),
          "fewer --envs leave more")) {
  parts_.stream = stream_.get();
  const UpdateParts& p = parts_;
  graph_ = cuda::capture_graph(
      stream_, [&] { cuda_check(launch_parts(p), "launching the parts of an update"); });
  parts_.graph = graph_.get();
  // once in order, so that no part finds the sums that the update before has cleared
  set_state(cuda::Stop::kRunning);
  cuda_check(launch_up_to_gradient(p), "launching the parts of an update");
  cuda_check(cudaStreamSynchronize(p.stream), "waiting for the device");
}

void CudaLab::set_state(cuda::Stop stop) {
  const cuda::UpdateState state{0, 0, stop, 0, {}};
  cuda_check(cudaMemcpyAsync(parts_.args.state, &state, sizeof state, cudaMemcpyHostToDevice,
                             parts_.stream),
             "copying the state of an update");
}

double CudaLab::seconds(cuda::Stop stop, cudaError_t (*launch)(const UpdateParts&)) {
  set_state(stop);
  cuda_check(cudaMemsetAsync(flushed_.data(), 0, static_cast<std::size_t>(flushed_.bytes()),
                             parts_.stream),
             "flushing the cache");
  return timer_.seconds(parts_.stream,
                        [&] { cuda_check(launch(parts_), "launching a part of an update"); });
}

double CudaLab::seconds_each(cuda::Stop stop, int count,
                             cudaError_t (*launch)(const UpdateParts&)) {
  set_state(stop);
  const double seconds = timer_.seconds(parts_.stream, [&] {
    for (int i = 0; i < count; ++i) cuda_check(launch(parts_), "launching an update");
  });
  return seconds / count;
}

bool cuda_is_emulated() {
#ifdef LS_BENCH_EMULATED
  return true;
#else
  return false;
#endif
}

std::map<std::string, std::string> cuda_context() {
  if (cuda_operations() == nullptr) return {};
  cudaDeviceProp properties{};
  cuda_check(cudaGetDeviceProperties(&properties, kDevice), "reading a device's properties");
  int driver = 0, runtime = 0;
  cuda_check(cudaDriverGetVersion(&driver), "reading the driver's version");
  cuda_check(cudaRuntimeGetVersion(&runtime), "reading the runtime's version");
  const auto giga = [](double value) { return std::to_string(std::lround(value / 1e9)); };
  return {{"gpu", cuda_is_emulated() ? "emulated" : properties.name},
          {"device_kind", cuda_is_emulated() ? "emulated" : "cuda"},
          {"gpu_driver", std::to_string(driver)},
          {"cuda_runtime", std::to_string(runtime)},
          {"gpu_multiprocessors", std::to_string(properties.multiProcessorCount)},
          {"gpu_clock_khz", std::to_string(attribute(cudaDevAttrClockRate))},
          {"gpu_fma_peak", giga(cuda_ceilings().fma) + " GF/s"},
          {"gpu_copy_peak", giga(cuda_ceilings().copy) + " GB/s"}};
}

}  // namespace lockstep::bench
