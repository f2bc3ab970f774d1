// CUDA's built-in vector types and the words that decorate device code, as a host compiler sees
// them. Alignments are the device's, so that UBSan notices a misaligned float4.
#pragma once

#include <cstddef>
#include <cstdint>

#define __host__
#define __device__
#define __global__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)

struct uint3 {
  unsigned x, y, z;
};
struct int2 {
  alignas(8) int x;
  int y;
};
struct uint2 {
  alignas(8) unsigned x;
  unsigned y;
};
struct float2 {
  alignas(8) float x;
  float y;
};
struct double2 {
  alignas(16) double x;
  double y;
};
struct int3 {
  int x, y, z;
};
struct float3 {
  float x, y, z;
};
struct int4 {
  alignas(16) int x;
  int y, z, w;
};
struct uint4 {
  alignas(16) unsigned x;
  unsigned y, z, w;
};
struct float4 {
  alignas(16) float x;
  float y, z, w;
};
struct ulonglong2 {
  alignas(16) unsigned long long x;
  unsigned long long y;
};
struct longlong2 {
  alignas(16) long long x;
  long long y;
};

/// Extents of a grid or a block; what is left out is 1.
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

constexpr uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
constexpr int2 make_int2(int x, int y) { return {x, y}; }
constexpr uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
constexpr float2 make_float2(float x, float y) { return {x, y}; }
constexpr double2 make_double2(double x, double y) { return {x, y}; }
constexpr int3 make_int3(int x, int y, int z) { return {x, y, z}; }
constexpr float3 make_float3(float x, float y, float z) { return {x, y, z}; }
constexpr int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
constexpr uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
constexpr float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
constexpr ulonglong2 make_ulonglong2(unsigned long long x, unsigned long long y) { return {x, y}; }
constexpr longlong2 make_longlong2(long long x, long long y) { return {x, y}; }
