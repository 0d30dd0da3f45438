// Cast between all element types. Every type is read as one of three wide ones (int64, uint64, double), which hold it
// exactly, and written from there: a float to an integer is cut toward zero and held at the type's ends, NaN is 0;
// an integer to a narrower one wraps; anything but 0 is true.
#include <cstring>
#include <limits>
#include <type_traits>

#include "ops/elements.h"
#include "ops/half.h"

namespace quaver {
namespace {

template <class T>
struct Tag {
  using Type = T;
};

// visit(Tag<T>{}) with the type that stores `dtype`.
template <class Visit>
auto with_type(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::f32: return visit(Tag<float>{});
    case DType::f64: return visit(Tag<double>{});
    case DType::f16: return visit(Tag<Half>{});
    case DType::bf16: return visit(Tag<Bfloat>{});
    case DType::u8: return visit(Tag<std::uint8_t>{});
    case DType::s8: return visit(Tag<std::int8_t>{});
    case DType::u16: return visit(Tag<std::uint16_t>{});
    case DType::s16: return visit(Tag<std::int16_t>{});
    case DType::u32: return visit(Tag<std::uint32_t>{});
    case DType::i32: return visit(Tag<std::int32_t>{});
    case DType::u64: return visit(Tag<std::uint64_t>{});
    case DType::i64: return visit(Tag<std::int64_t>{});
    default: return visit(Tag<bool>{});
  }
}

template <class T>
auto widen(T x) {
  if constexpr (std::is_class_v<T>) {
    return to_double(x);
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<double>(x);
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    return x;
  } else {
    return static_cast<std::int64_t>(x);
  }
}

template <class T>
T cut(double x) {
  using Limits = std::numeric_limits<T>;
  if (!(x >= static_cast<double>(Limits::min()))) return x != x ? T{0} : Limits::min();
  return x >= std::ldexp(1.0, Limits::digits) ? Limits::max() : static_cast<T>(x);
}

template <class T, class Wide>
T narrow(Wide x) {
  if constexpr (std::is_same_v<T, bool>) {
    return x != 0;
  } else if constexpr (std::is_same_v<T, Half>) {
    return to_half(static_cast<double>(x));
  } else if constexpr (std::is_same_v<T, Bfloat>) {
    return to_bfloat(static_cast<double>(x));
  } else if constexpr (std::is_same_v<Wide, double> && std::is_integral_v<T>) {
    return cut<T>(x);
  } else {
    return static_cast<T>(x);
  }
}

constexpr std::size_t kBlock = 256;
using Read = void (*)(const std::byte* x, std::size_t n, void* wide);
using Write = void (*)(const void* wide, std::size_t n, std::byte* y);

template <class T>
void read(const std::byte* x, std::size_t n, void* wide) {
  auto* out = static_cast<decltype(widen(T{}))*>(wide);
  for (std::size_t i = 0; i < n; ++i) out[i] = widen(reinterpret_cast<const T*>(x)[i]);
}

template <class T, class Wide>
void write(const void* wide, std::size_t n, std::byte* y) {
  for (std::size_t i = 0; i < n; ++i) reinterpret_cast<T*>(y)[i] = narrow<T>(static_cast<const Wide*>(wide)[i]);
}

template <class Wide>
Write writer(DType to) {
  return with_type(to, []<class T>(Tag<T>) -> Write { return &write<T, Wide>; });
}

class CastStep final : public ElementStep {
 public:
  explicit CastStep(const LowerContext& context)
      : x_(context.in(0)),
        y_(context.out()),
        from_(size_of(context.input(0).dtype)),
        to_(size_of(context.output().dtype)) {
    const DType to = context.output().dtype;
    with_type(context.input(0).dtype, [&]<class T>(Tag<T>) {
      read_ = &read<T>;
      write_ = writer<decltype(widen(T{}))>(to);
    });
    info.kernel = "cast";
    split_elements(elements_of(context.output()), bytes_of(context.input(0)) + bytes_of(context.output()));
  }

 private:
  void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const override {
    alignas(8) std::byte wide[kBlock * 8];
    for (std::size_t i = begin; i < end; i += kBlock) {
      const std::size_t n = std::min(kBlock, end - i);
      read_(context.as<const std::byte>(x_) + i * from_, n, wide);
      write_(wide, n, context.as<std::byte>(y_) + i * to_);
    }
  }

  ValueId x_, y_;
  std::size_t from_, to_;
  Read read_;
  Write write_;
};

}  // namespace

std::unique_ptr<Step> lower_Cast(LowerContext& context) { return std::make_unique<CastStep>(context); }

}  // namespace quaver
