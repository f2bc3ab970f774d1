// Tests for kernels/replay_step.h: the gradient is the same whatever the record kept.
#include "kernels/replay_step.h"

#include <gtest/gtest.h>

#include "tests/support/float_batch.h"
#include "tests/support/training.h"

namespace lockstep::test {
namespace replay_step_test {

TEST(VisitStep, GivesTheSameGradientWhateverWasKept) {
  const PolicyOptions options[] = {
      {}, {Activation::kLeakyRelu, 0}, {Activation::kRelu, 0.5}, {Activation::kLeakyRelu, 0.2}};
  for (const char* world : {"cartpole", "corridor"}) {
    for (const PolicyKind kind : {PolicyKind::kMlp, PolicyKind::kLinear}) {
      for (const PolicyOptions& option : options) {
        if (kind == PolicyKind::kLinear && &option != options) continue;
        FloatBatch batch(world, kind, kind == PolicyKind::kMlp ? 40 : 0, option, 21, 90);
        batch.set_parameters(initial_parameters(batch.shape(), Init::kKaimingUniform, 7));
        batch.rollout({3, 1}, 0.9f);
        GradientArgs<float> args = batch.gradient_args();
        for (float& scale : args.scale) scale = 0x1p10f;
        const Record<float> whole = args.record;
        const IntegerSums expected = batch.sums(args, Isa::kScalar);
        for (const Isa isa : available_isas()) {
          for (const int kept : {0, 1, 2, 3}) {
            args.record = whole;
            if ((kept & 1) == 0) args.record.obs = nullptr;
            if ((kept & 2) == 0) args.record.logits = nullptr;
            EXPECT_EQ(batch.sums(args, isa), expected)
                << world << ", obs " << (kept & 1) << ", logits " << (kept & 2) << ", "
                << isa_name(isa);
          }
        }
      }
    }
  }
}

}  // namespace replay_step_test
}  // namespace lockstep::test
