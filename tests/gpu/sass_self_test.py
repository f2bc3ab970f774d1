"""What sass_check.py must notice: a listing with known loops, and planted kernels over their budgets."""

import pathlib
import tempfile

import compile_units
import sass
import sass_check

# an outer loop (0040..00b0) around an inner one (0050..0070) and a slow path (0090, 00a0)
LISTING = """
	.section	.text._Z4nestPf,"ax",@progbits
_Z4nestPf:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/                   ISETP.GE.AND P0, PT, R0, 0x1, PT ;
        /*0020*/              @!P0 EXIT ;
        /*0030*/                   BSSY B0, `(.L_x_9) ;
.L_x_1:
        /*0040*/                   MUFU.RCP R2, R3 ;
.L_x_2:
        /*0050*/                   FFMA R4, R4, R5, R6 ;
        /*0060*/                   LDS.128 R8, [R7] ;
        /*0070*/               @P1 BRA `(.L_x_2) ;
        /*0080*/              @!P2 BRA `(.L_x_3) ;
        /*0090*/                   MOV R9, 0x140 ;
        /*00a0*/                   CALL.REL.NOINC `($__internal_0_$__cuda_sm3x_div_rn_noftz_f32_slowpath) ;
.L_x_3:
        /*00b0*/               @P3 BRA `(.L_x_1) ;
.L_x_9:
        /*00c0*/                   BSYNC B0 ;
        /*00d0*/                   STG.E desc[UR4][R2.64], R4 ;
        /*00e0*/                   EXIT ;
$__internal_0_$__cuda_sm3x_div_rn_noftz_f32_slowpath:
        /*00f0*/                   SHF.R.U32.HI R9, RZ, 0x17, R9 ;
        /*0100*/                   RET.REL.NODEC R2 `(_Z4nestPf) ;
.L_x_10:
        /*0110*/                   BRA `(.L_x_10);
        /*0120*/                   NOP;
"""
LOG = """ptxas info    : Compiling entry function '_Z4nestPf' for 'sm_90'
ptxas info    : Function properties for _Z4nestPf
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 30 registers, used 1 barriers, 512 bytes smem
"""

PLANTED = """
__global__ void lean(float* x, int n) {
  float sum = 0;
#pragma unroll 1
  for (int i = 0; i < n; ++i) sum = fmaf(x[i], x[i], sum);
  x[0] = sum;
}
__global__ void __launch_bounds__(1024, 2) spills(float* x) {
  float v[64];
#pragma unroll
  for (int i = 0; i < 64; ++i) v[i] = x[i * 32 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 64; ++i) x[i * 32 + threadIdx.x] = v[i] * v[63 - i];
}
__global__ void on_stack(float* x, int n) {
  float v[64];
  for (int i = 0; i < 64; ++i) v[i] = x[i] * x[i + 1];
  for (int i = 0; i < n; ++i) v[(i * 7 + n) & 63] += v[i & 63];
  x[0] = v[n & 63];
}
__device__ __noinline__ float helper(float x) { return x * x + 1; }
__global__ void calls(float* x) { x[0] = helper(x[1]); }
__global__ void forgotten(float* x) { x[0] = 1; }
"""
BUDGETS = """
// budget: lean registers<=32 spills<=0 loop<=20
// budget: lean registers<=4 spills<=0 loop<=2 per=1
// budget: spills registers<=32 spills<=0 stack<=400 loop<=1000
// budget: on_stack registers<=255 spills<=0 loop<=1000
// budget: calls registers<=255 spills<=0 loop<=1000
// budget: gone registers<=255 spills<=0 loop<=1000
"""
EXPECTED = ["calls: calls 1 > 0", "forgotten: no budget is written", "lean: loop ", "lean: registers ",
            "no kernel is named 'gone'", "on_stack: stack 256 > 0", "spills: spills "]
BAD_LINES = ["lean", "lean registers<=32", "lean spills<=0 loop<=3", "lean registers<=1 spills<=0 loop<=2 speed<=3",
             "lean( registers<=1 spills<=0 loop<=2", "lean registers=1 spills<=0 loop<=2"]


def listing_errors():
    (nest,) = sass.parse(LISTING)
    sass.read_resources([nest], LOG)
    outer, inner = nest.loops
    got = {
        "outer": (outer.count(), outer.cold, outer.depth),
        "inner": (inner.count(), inner.cold, inner.depth),
        "hot": nest.hot() is inner,
        "outside": nest.outside.count(),
        "around": sass_check.around(nest),
        "mix": dict(inner.mix()),
        "calls": len(nest.calls),
        "resources": (nest.registers, nest.stack, nest.spills, nest.shared),
        "name": nest.short,
    }
    wanted = {
        "outer": (3, 2, 1),
        "inner": (3, 0, 2),
        "hot": True,
        "outside": 7,
        "around": 3,
        "mix": {"FFMA": 1, "LDS": 1, "BRA": 1},
        "calls": 1,
        "resources": (30, 8, 16, 512),
        "name": "nest",
    }
    errors = [f"listing: {key} is {got[key]}, not {wanted[key]}" for key in wanted if got[key] != wanted[key]]
    for limits, expected in (("registers<=30 spills<=16 stack<=8 loop<=3 around<=3", []),
                             ("registers<=29 spills<=15 loop<=2 around<=2",
                              ["around 3", "loop 3", "registers 30", "spills 16", "stack 8"])):
        messages = sass_check.check([nest], [sass_check.parse_budget("here", f"ne.t {limits}")])
        found = sorted(" ".join(m.split()[1:3]) for m in messages)
        if found != expected:
            errors.append(f"listing: with {limits} the violations are {found}, not {expected}")
    return errors


def budget_errors():
    errors = []
    for line in BAD_LINES:
        try:
            sass_check.parse_budget("here", line)
            errors.append(f"accepts the budget '{line}'")
        except sass_check.BadBudget:
            pass
    good = sass_check.parse_budget("here", "roll<CartPole, (Form)2, 8> registers<=64 spills<=0 loop<=52.5 per=8")
    if (good.pattern, good.per, good.limits["loop"]) != ("roll<CartPole, (Form)2, 8>", 8, 52.5):
        errors.append(f"reads a budget as {good}")
    return errors


def planted_errors(nvcc, nvdisasm):
    with tempfile.TemporaryDirectory() as folder:
        unit, budgets = pathlib.Path(folder, "unit.cu"), pathlib.Path(folder, "unit.cuh")
        unit.write_text(PLANTED)
        budgets.write_text(BUDGETS)
        cubin = compile_units.compile_unit(nvcc, ["-std=c++20"], unit, folder)
        functions = sass.load(cubin, nvdisasm, cubin.with_suffix(".log").read_text())
        messages = sorted(sass_check.check(functions, sass_check.read_budgets([budgets])))
    errors = [f"does not notice: {want}" for want in EXPECTED if not any(want in m for m in messages)]
    return errors + [f"false alarm: {m}" for m in messages if not any(want in m for want in EXPECTED)]


def run(nvcc, nvdisasm):
    errors = listing_errors() + budget_errors()
    planted = bool(nvcc and nvdisasm)
    if planted:
        errors += planted_errors(nvcc, nvdisasm)
    for error in errors:
        print("self-test:", error)
    print(f"self-test: listing and budgets{', planted kernels' if planted else ''}: {'FAILED' if errors else 'ok'}")
    return 1 if errors else 0
