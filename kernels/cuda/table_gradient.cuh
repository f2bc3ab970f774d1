// The sums A of a table policy's gradient: e_t - e_{t+1} of every step, added to the rows it shows.
//
// Mapping: a block takes kUnits units, of which it keeps the sums of the usual rows in shared
// memory, and a part of the batch: 8 units, or as many as the device has room for. What a step adds
// to a rare row goes straight to global memory. Two lanes, half a warp apart, take an environment
// and a chunk of time, which they walk backwards with e_{t+1} in registers: one has the even units,
// the other the odd ones. Sums of such a pair of units lie side by side, pair by pair of all rows:
// a warp then adds 16 rows a time, not 32, of games that often show the same one and would wait for
// each other.
//
// Sums in shared memory have 32 bits and may wrap round: the addition that wraps sees it, by the
// old value that it gets back, and carries 2^32 to the sums of 64 bits in global memory. So no
// order of steps, and no number of them, can change a bit.
//
// Bytes a step and block: 4 of g, 4 of activity, 2 an object; the blocks of a part read the same
// steps at about the same time, most of them from the cache. Limiter: issue, and the banks.
// budget: table_accumulate_kernel<.*> registers<=64 spills<=0
#pragma once

#include "kernels/cuda/table_steps.cuh"

namespace lockstep::cuda {

/// What a block of accumulate() sums in shared memory.
template <class E, int kSharedUnits>
struct TableShare {
  using Env = E;
  static constexpr int kUnits = kSharedUnits;
  static constexpr int kPairs = (kUnits + 1) / 2;  // the last one may have an even unit alone
  static constexpr int kNumbers = kUnits * E::kUsualRows;
  static constexpr int kBytes = kNumbers * static_cast<int>(sizeof(std::int32_t));

  static LS_HD constexpr bool is_whole(int pair) { return 2 * pair + 1 < kUnits; }
  /// Where the sum of unit 2 pair + odd of a row is.
  static LS_HD constexpr int place(int pair, int row, int odd) {
    return 2 * pair * E::kUsualRows + (is_whole(pair) ? 2 * row + odd : row);
  }
};

/// What a thread reads of a step: g for active and other units, the words of activity bits that
/// hold the block's units, the rows.
template <int k>
struct TableTerms {
  std::int32_t active, other;
  std::uint32_t word, next;
  std::int32_t row[k];
};

/// Where the block's units are among the words of activity bits.
struct TableUnitBits {
  int word, shift;
  bool straddles;  // they go on in the next word

  __device__ TableUnitBits(const TableShape& shape, int first, int units)
      : word(first / 32), shift(first % 32) {
    straddles = shift + units > 32 && word + 1 < shape.words();
  }
};

/// Reads the steps of one environment, one after another from `t` on backwards.
template <class E, bool kLeaky>
class TableReader {
 public:
  __device__ TableReader(const TableSteps& steps, const TableUnitBits& bits, int t) : bits_(bits) {
    const TableRecord& table = steps.args.rollout.record;
    const std::int64_t step = steps.pack.group * table.steps.T + t;
    words_ = steps.args.rollout.policy.shape.words();
    quantised_ = table.quantised + step * kGroup + steps.pack.lane;
    if (kLeaky) leaked_ = table.quantised_leak + step * kGroup + steps.pack.lane;
    active_ = table.active + (step * words_ + bits.word) * kGroup + steps.pack.lane;
    rows_ = table.rows + step * E::kObjects * kGroup + steps.pack.lane;
  }
  __device__ void read(TableTerms<E::kObjects>& terms) {
    terms.active = *quantised_;
    terms.other = kLeaky ? *leaked_ : 0;
    terms.word = *active_;
    terms.next = bits_.straddles ? active_[kGroup] : 0u;
    LS_UNROLL
    for (int i = 0; i < E::kObjects; ++i) terms.row[i] = rows_[i * kGroup];
    quantised_ -= kGroup;
    if (kLeaky) leaked_ -= kGroup;
    active_ -= words_ * kGroup;
    rows_ -= E::kObjects * kGroup;
  }

 private:
  TableUnitBits bits_;
  int words_;
  const std::int32_t* quantised_;
  const std::int32_t* leaked_ = nullptr;
  const std::uint32_t* active_;
  const std::uint16_t* rows_;
};

inline constexpr std::int64_t kTurn = std::int64_t{1} << 32;  // of a sum of 32 bits

/// What a lane of a pair works on.
struct TableLane {
  TableUnitBits bits;
  int first, units;  // of the block
  int odd;           // 1: the odd units
};

/// Adds the lane's changes to the sums of one usual row; `carried` are the block's units of it in
/// global memory.
template <class Share>
__device__ inline void add_to_row(std::int32_t* sums, int row,
                                  const std::int32_t (&change)[Share::kPairs],
                                  unsigned long long* carried, const TableLane& lane) {
  std::int32_t wrapped[Share::kPairs];  // negative: it has
  std::int32_t any_wrapped = 0;
  // a change of 0 is added too: to step over it would take longer
  LS_UNROLL
  for (int p = 0; p < Share::kPairs; ++p) {
    wrapped[p] = 0;
    if (!Share::is_whole(p) && lane.odd != 0) continue;
    const auto old = as_unsigned(atomicAdd(&sums[Share::place(p, row, lane.odd)], change[p]));
    const std::uint32_t sum = old + as_unsigned(change[p]);
    wrapped[p] = as_signed((old ^ sum) & (as_unsigned(change[p]) ^ sum));
    any_wrapped |= wrapped[p];
  }
  if (any_wrapped >= 0) return;
  std::uint32_t carries = 0, down = 0;  // bit: unit of the block
  LS_UNROLL
  for (int p = 0; p < Share::kPairs; ++p) {
    carries |= (as_unsigned(wrapped[p]) >> 31) << (2 * p);
    down |= (as_unsigned(change[p]) >> 31) << (2 * p);
  }
  carries = (carries << lane.odd) & ((1u << lane.units) - 1);
  for (down <<= lane.odd; carries != 0; carries &= carries - 1) {
    const int u = __ffs(static_cast<int>(carries)) - 1;
    add_signed(carried + u, ((down >> u) & 1u) != 0 ? -kTurn : kTurn);
  }
}

/// Adds them to the sums of a rare row: `sums` are the block's units of it in global memory.
template <class Share>
__device__ inline void add_to_rare_row(unsigned long long* sums,
                                       const std::int32_t (&change)[Share::kPairs],
                                       const TableLane& lane) {
  LS_UNROLL
  for (int p = 0; p < Share::kPairs; ++p) {
    const int u = 2 * p + lane.odd;
    if (u < lane.units) add_signed(sums + u, change[p]);
  }
}

/// One walk of a lane: the steps of an environment in a chunk of time.
template <class Share, bool kLeaky>
__device__ inline void accumulate_steps(const TableSteps& steps, const TableLane& lane,
                                        std::int32_t* sums) {
  using E = typename Share::Env;
  constexpr int kPairs = Share::kPairs;
  constexpr int k = E::kObjects;
  const TableUpdateArgs& args = steps.args;
  const std::int64_t padded = args.rollout.policy.shape.padded();
  const auto bits_of = [&](const TableTerms<k>& terms) {
    const std::uint64_t words = std::uint64_t{terms.next} << 32 | terms.word;
    return static_cast<std::uint32_t>(words >> (lane.bits.shift + lane.odd));  // bit 2 p: pair p
  };

  TableTerms<k> now, terms{};
  const bool cut = steps.end < steps.length;  // there is a step after the chunk
  TableReader<E, kLeaky> reader(steps, lane.bits, cut ? steps.end : steps.end - 1);
  if (cut) reader.read(terms);
  std::int32_t later[kPairs];  // e_{t+1}
  LS_UNROLL
  for (int p = 0; p < kPairs; ++p) {
    later[p] = ((bits_of(terms) >> (2 * p)) & 1u) != 0 ? terms.active : terms.other;
  }
  bool had = (terms.active | terms.other) != 0;
  reader.read(terms);
  for (int left = steps.end - steps.first; left > 0; --left) {
    now = terms;
    if (left > 1) reader.read(terms);  // on its way while this one is added
    const bool has = (now.active | now.other) != 0;
    if (!has && !had) continue;  // no changes
    had = has;
    const std::uint32_t active = bits_of(now);
    std::int32_t change[kPairs];
    LS_UNROLL
    for (int p = 0; p < kPairs; ++p) {
      const std::int32_t e = ((active >> (2 * p)) & 1u) != 0 ? now.active : now.other;
      change[p] = e - later[p];
      later[p] = e;
    }
    LS_UNROLL
    for (int i = 0; i < k; ++i) {
      if (now.row[i] == 0) continue;  // lights nothing
      unsigned long long* const total = args.sums + now.row[i] * padded + lane.first;
      if (i + 1 == k && now.row[i] >= E::kUsualRows) {
        add_to_rare_row<Share>(total, change, lane);
      } else {
        add_to_row<Share>(sums, now.row[i], change, total, lane);
      }
    }
  }
}

/// Block x sums the units of slice x mod slices over part x / slices of the batch.
template <class E, int kUnits, bool kLeaky>
LS_KERNEL(kMaxGradientBlock)
table_accumulate_kernel(const __grid_constant__ TableUpdateArgs args, int slices, int chunk) {
  using Share = TableShare<E, kUnits>;
  LS_DYNAMIC_SHARED(std::int32_t, sums);  // [kUnits][kUsualRows]
  if (args.state->stop != Stop::kRunning || !args.step->learn || args.totals->saturated != 0) {
    return;  // the whole grid
  }
  const TableShape& shape = args.rollout.policy.shape;
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int first = static_cast<int>(blockIdx.x) % slices * Share::kUnits;
  const int left = shape.padded() - first;
  const int units = left < Share::kUnits ? left : Share::kUnits;
  for (int i = thread; i < Share::kNumbers; i += threads) sums[i] = 0;
  __syncthreads();

  // of two lanes: an environment and a chunk; a record with 2^31 of them does not fit a device
  const auto envs = static_cast<unsigned>(args.rollout.record.steps.groups) * kGroup;
  const auto size = static_cast<unsigned>(chunk);
  const unsigned items =
      envs * ((static_cast<unsigned>(args.rollout.record.steps.T) + size - 1) / size);
  const TableLane lane{TableUnitBits(shape, first, units), first, units, lane_index() / kGroup};
  const unsigned part = blockIdx.x / static_cast<unsigned>(slices);
  const unsigned stride = gridDim.x / static_cast<unsigned>(slices) * (blockDim.x / 2);
  const unsigned mine = threadIdx.x / kWarp * kGroup + threadIdx.x % kGroup;
  for (unsigned item = part * (blockDim.x / 2) + mine; item < items; item += stride) {
    const TableSteps steps(args, item % envs, static_cast<int>(item / envs * size), chunk);
    if (steps.first < steps.end) accumulate_steps<Share, kLeaky>(steps, lane, sums);
  }
  __syncthreads();

  for (int i = thread; i < Share::kNumbers; i += threads) {
    const int row = i / Share::kUnits, u = i % Share::kUnits;
    const std::int32_t sum = sums[Share::place(u / 2, row, u % 2)];
    if (sum == 0 || u >= units) continue;
    add_signed(args.sums + std::int64_t{row} * shape.padded() + first + u, sum);
  }
}

template <class E, int kUnits>
cudaError_t launch_accumulate(const TableUpdateArgs& args, const TableLaunchShape& shape,
                              cudaStream_t stream) {
  using Share = TableShare<E, kUnits>;
  const TableRecord& record = args.rollout.record;
  const int chunk = table_chunk(record);
  const int slices = (args.rollout.policy.shape.padded() + Share::kUnits - 1) / Share::kUnits;
  const std::int64_t chunks = (record.steps.T + chunk - 1) / chunk;
  const std::int64_t items = record.steps.groups * kGroup * chunks;
  // a block fills a multiprocessor; not more parts than there are steps for
  const std::int64_t most = (2 * items + shape.gradient_block - 1) / shape.gradient_block;
  std::int64_t parts = shape.multiprocessors / slices;
  parts = parts > most ? most : parts;
  parts = parts < 1 ? 1 : parts;
  const auto kernel = args.rollout.policy.leak == 0 ? table_accumulate_kernel<E, kUnits, false>
                                                    : table_accumulate_kernel<E, kUnits, true>;
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Share::kBytes);
  if (status != cudaSuccess) return status;
  return launch("table_accumulate", kernel, dim3(static_cast<unsigned>(slices * parts)),
                dim3(static_cast<unsigned>(shape.gradient_block)), Share::kBytes, stream, args,
                slices, chunk);
}

/// Numbers of units of a block, of which the first is taken that fits: what devices with 227, 163,
/// 99 and 64 KiB of shared memory a block have room for, by Pong's 6,652 usual rows.
template <int... kUnits>
struct UnitChoices {};
using BlockUnits = UnitChoices<8, 6, 3, 2>;

/// Bytes of shared memory that a block needs at least.
template <class E, int kUnits, int... kFewer>
constexpr int least_accumulate_bytes(UnitChoices<kUnits, kFewer...>) {
  if constexpr (sizeof...(kFewer) > 0) return least_accumulate_bytes<E>(UnitChoices<kFewer...>{});
  return TableShare<E, kUnits>::kBytes;
}

template <class E, int kUnits, int... kFewer>
cudaError_t accumulate_what_fits(const TableUpdateArgs& args, const TableLaunchShape& shape,
                                 cudaStream_t stream, UnitChoices<kUnits, kFewer...>) {
  if (TableShare<E, kUnits>::kBytes <= shape.shared_bytes) {
    return launch_accumulate<E, kUnits>(args, shape, stream);
  }
  if constexpr (sizeof...(kFewer) > 0) {
    return accumulate_what_fits<E>(args, shape, stream, UnitChoices<kFewer...>{});
  }
  return cudaErrorInvalidValue;
}

/// Adds e_t - e_{t+1} of every step to the rows that it shows: args.sums.
///
/// Shapes: reads quantised, quantised_leak, active and rows of the record, length [16 G]. Row 0 is
///         left alone.
/// Result: bitwise equal to the CPU's for every launch shape: integers
/// Stream: asynchronous, after weigh()
/// Errors: those of the launch; cudaErrorInvalidValue with less shared memory than
///         TableOperations::least_shared
template <class E>
cudaError_t table_accumulate(const TableUpdateArgs& args, const TableLaunchShape& shape,
                             cudaStream_t stream) {
  return accumulate_what_fits<E>(args, shape, stream, BlockUnits{});
}

}  // namespace lockstep::cuda
