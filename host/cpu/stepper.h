// Steppers of the CPU: the operations of an instruction set on arrays of their own, groups split
// over threads.
#pragma once

#include "host/backend/buffer.h"
#include "host/backend/stepper.h"
#include "host/cpu/number_backend.h"

namespace lockstep {

class CpuStepper : public Stepper {
 public:
  /// Errors: OutOfMemory.
  CpuStepper(const EnvironmentEntry& environment, const CpuTuning& tuning,
             const StepperRequest& request);

  void reset(const std::uint8_t* mask, const std::uint64_t* seeds) override;
  void step(const std::uint8_t* actions, Restart restart) override;
  void step_from_host(const std::uint8_t* actions, Restart restart) override {
    step(actions, restart);
  }
  StepViews views() const override { return views_of(args_, sizes_, action_, {}); }
  StepViews on_host() override;

  // The dense path steps group by group, between its own operations.

  /// Before every step: step_group() takes these actions, [N] or the stepper's own where null.
  void prepare_step(const std::uint8_t* actions, Restart restart);
  void step_group(std::int64_t group) const {
    if (numbers_ != nullptr) {
      numbers_(args_, group);
    } else {
      pictures_(args_, game_, group, frames_);
    }
  }

 private:
  void run();

  StepSizes sizes_;
  GameOptions game_;
  DrawTurns turns_;
  int threads_;
  bool wants_final_;
  void (*numbers_)(const StepBuffers&, std::int64_t) = nullptr;
  void (*pictures_)(const StepBuffers&, const GameOptions&, std::int64_t,
                    cpu::PlayFrames) = nullptr;
  cpu::PlayFrames frames_ = nullptr;
  Buffer<std::byte> memory_, final_memory_;
  StepBuffers args_{};
  std::uint8_t* action_ = nullptr;
};

}  // namespace lockstep
