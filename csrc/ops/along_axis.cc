// ArgMax, ArgMin, TopK, LogSoftmax, Hardmax, CumSum, CumProd, LpNormalization and PairwiseCoupling: one lane of an axis
// at a time.
#include <algorithm>
#include <cmath>

#include "kernels/elementwise/unary.h"
#include "kernels/reduce/reduce.h"
#include "ops/lane_step.h"

namespace quaver {
namespace {

// Whether a comes before b: NaN is the largest.
template <class W>
bool before(W a, W b, bool largest) {
  if (a != a || b != b) return largest ? b == b : a == a;
  return largest ? a > b : a < b;
}

template <class W>
std::size_t best(const W* x, std::size_t n, bool largest, bool last) {
  std::size_t at = 0;
  for (std::size_t i = 1; i < n; ++i) {
    if (before(x[i], x[at], largest) || (last && !before(x[at], x[i], largest))) at = i;
  }
  return at;
}

std::unique_ptr<Step> lower_arg(LowerContext& context, bool largest) {
  const Dims& dims = context.input(0).shape;
  const std::size_t axis = axis_of(context, 0);
  if (dims[axis] == 0) context.fail("axis ", axis, " of ", to_string(dims), " is empty");
  const bool last = context.node.attrs.i("select_last_index", 0) != 0;
  Lanes y({count(context.output().shape)}, {false});
  return with_wide(context.input(0).dtype, [&]<class W>(W) -> std::unique_ptr<Step> {
    const auto f = [=](const W* x, std::size_t n, W* const* out) {
      *out[0] = static_cast<W>(best(x, n, largest, last));
    };
    return std::make_unique<LaneStep<W>>(context, Lanes::axis(dims, axis), std::vector<Lanes>{y}, f);
  });
}

// Selects the k best of a lane in order. The indices are a heap in the lane of the second output: nothing is allocated.
template <class W>
void top(const W* x, std::size_t n, std::size_t k, bool largest, W* values, W* indices) {
  const auto better = [&](W a, W b) {
    const auto i = static_cast<std::size_t>(a), j = static_cast<std::size_t>(b);
    return before(x[i], x[j], largest) || (!before(x[j], x[i], largest) && i < j);
  };
  for (std::size_t i = 0; i < n && k > 0; ++i) {
    const W index = static_cast<W>(i);
    if (i < k) {
      indices[i] = index;
      std::push_heap(indices, indices + i + 1, better);
    } else if (better(index, indices[0])) {
      std::pop_heap(indices, indices + k, better);
      indices[k - 1] = index;
      std::push_heap(indices, indices + k, better);
    }
  }
  std::sort_heap(indices, indices + k, better);
  for (std::size_t i = 0; i < k; ++i) values[i] = x[static_cast<std::size_t>(indices[i])];
}

template <class W>
std::unique_ptr<Step> lower_top_k(LowerContext& context) {
  const std::size_t axis = axis_of(context, -1);
  const bool largest = context.node.attrs.i("largest", 1) != 0;
  const Lanes y = Lanes::axis(context.output().shape, axis);
  const std::size_t k = y.taps.size();
  const auto f = [=](const W* x, std::size_t n, W* const* out) { top(x, n, k, largest, out[0], out[1]); };
  return std::make_unique<LaneStep<W>>(context, Lanes::axis(context.input(0).shape, axis), std::vector<Lanes>{y, y}, f);
}

double log_of_sum(const double* x, std::size_t n, double top) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::exp(x[i] - top);
  return top + std::log(sum);
}

// Running totals of lanes that lie side by side, some of them at once. A row of the step is an index before the axis.
template <class W, class Combine>
class ScanStep final : public RowStep {
 public:
  ScanStep(const LowerContext& context, std::size_t axis, W start, Combine combine)
      : exclusive_(context.node.attrs.i("exclusive", 0) != 0),
        reverse_(context.node.attrs.i("reverse", 0) != 0),
        start_(start),
        combine_(combine),
        x_(context.in(0)),
        y_(context.out()),
        size_(size_of(context.output().dtype)),
        read_(reader_of<W>(context.input(0).dtype)),
        write_(writer_of<W>(context.output().dtype)) {
    const Dims& dims = context.output().shape;
    std::size_t before = 1;
    for (std::size_t i = 0; i < dims.size(); ++i) {
      (i < axis ? before : i == axis ? length_ : lanes_) *= static_cast<std::size_t>(dims[i]);
    }
    info.kernel = "scan";
    split(before, 2 * bytes_of(context.output()));
  }

 private:
  static constexpr std::size_t kLanes = 128;

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    W total[kLanes], x[kLanes], y[kLanes];
    for (std::size_t row = first; row < last; ++row) {
      for (std::size_t lane = 0; lane < lanes_; lane += kLanes) {
        const std::size_t n = std::min(kLanes, lanes_ - lane);
        std::fill_n(total, n, start_);
        for (std::size_t i = 0; i < length_; ++i) {
          const std::size_t at = (row * length_ + (reverse_ ? length_ - 1 - i : i)) * lanes_ + lane;
          read_(context.as<const std::byte>(x_) + at * size_, 1, n, x);
          if (exclusive_) std::copy_n(total, n, y);
          for (std::size_t l = 0; l < n; ++l) total[l] = combine_(total[l], x[l]);
          write_(exclusive_ ? y : total, 1, n, context.as<std::byte>(y_) + at * size_);
        }
      }
    }
  }

  bool exclusive_, reverse_;
  W start_;
  Combine combine_;
  ValueId x_, y_;
  std::size_t size_, length_ = 1, lanes_ = 1;
  ReadWide<W> read_;
  WriteWide<W> write_;
};

template <class W, class Combine>
std::unique_ptr<Step> lower_scan(LowerContext& context, W start, Combine combine) {
  const std::size_t axis = axis_of(context, 0);
  if (Lanes::axis(context.input(0).shape, axis).step > 1) {
    return std::make_unique<ScanStep<W, Combine>>(context, axis, start, combine);
  }
  const bool exclusive = context.node.attrs.i("exclusive", 0) != 0, reverse = context.node.attrs.i("reverse", 0) != 0;
  return along_axis<W>(context, axis, [=](const W* x, std::size_t n, W* y) {
    W total = start;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t at = reverse ? n - 1 - i : i;
      const W next = combine(total, x[at]);
      y[at] = exclusive ? total : next;
      total = next;
    }
  });
}

// What pairs of k classes say of each other: r[i][j] is the probability of i where it is i or j, given for i < j.
struct Pairs {
  const double* given;
  std::size_t k;

  double at(std::size_t i, std::size_t j) const {
    return i < j ? given[i * (2 * k - i - 1) / 2 + j - i - 1] : 1 - at(j, i);
  }
  // An entry of the matrix Q whose form the probabilities p make least.
  double form(std::size_t t, std::size_t j) const {
    if (t != j) return -at(j, t) * at(t, j);
    double sum = 0;
    for (std::size_t i = 0; i < k; ++i) sum += i == t ? 0 : at(i, t) * at(i, t);
    return sum;
  }
  double product(std::size_t t, const double* p) const {
    double sum = 0;
    for (std::size_t j = 0; j < k; ++j) sum += form(t, j) * p[j];
    return sum;
  }
};

// The second method of Wu, Lin and Weng (2004), with LIBSVM's limits: what it ends at is part of the answer.
void couple(const Pairs& pairs, double* p) {
  const std::size_t k = pairs.k, rounds = std::max<std::size_t>(100, k);
  std::fill_n(p, k, 1.0 / static_cast<double>(k));
  for (std::size_t round = 0; round < rounds; ++round) {
    double whole = 0, error = 0;  // pᵀQp
    for (std::size_t t = 0; t < k; ++t) whole += p[t] * pairs.product(t, p);
    for (std::size_t t = 0; t < k; ++t) error = std::max(error, std::abs(pairs.product(t, p) - whole));
    if (error < 0.005 / static_cast<double>(k)) return;
    for (std::size_t t = 0; t < k; ++t) {
      const double own = pairs.form(t, t), product = pairs.product(t, p), step = (whole - product) / own;
      whole = (whole + step * (step * own + 2 * product)) / ((1 + step) * (1 + step));
      p[t] += step;
      for (std::size_t j = 0; j < k; ++j) p[j] /= 1 + step;
    }
  }
}

}  // namespace

std::unique_ptr<Step> lower_ArgMax(LowerContext& context) { return lower_arg(context, true); }
std::unique_ptr<Step> lower_ArgMin(LowerContext& context) { return lower_arg(context, false); }

std::unique_ptr<Step> lower_TopK(LowerContext& context) {
  return with_wide(context.input(0).dtype, [&]<class W>(W) { return lower_top_k<W>(context); });
}

std::unique_ptr<Step> lower_LogSoftmax(LowerContext& context) {
  if (context.input(0).dtype == DType::f32) {
    const auto f = [exp = &kernels::pick_unary_f32(context.isa),
                    greatest = &kernels::pick_reduce(context.isa, kernels::ReduceKind::max_f32),
                    total = &kernels::pick_reduce(context.isa, kernels::ReduceKind::sum_f32)](const float* x,
                                                                                              std::size_t n, float* y) {
      if (n == 0) return;
      float top, sum;
      greatest->run({.rows = 1, .n = n, .a = x, .c = &top});
      for (std::size_t i = 0; i < n; ++i) y[i] = x[i] - top;
      exp->run({.op = kernels::UnaryF32Op::exp, .n = n, .x = y, .y = y});
      total->run({.rows = 1, .n = n, .a = y, .c = &sum});
      const float log = std::log(sum);
      for (std::size_t i = 0; i < n; ++i) y[i] = x[i] - top - log;
    };
    return along_axis<float>(context, axis_of(context, -1), f);
  }
  return along_axis<double>(context, axis_of(context, -1), [](const double* x, std::size_t n, double* y) {
    if (n == 0) return;
    const double log = log_of_sum(x, n, *std::max_element(x, x + n));
    for (std::size_t i = 0; i < n; ++i) y[i] = x[i] - log;
  });
}

std::unique_ptr<Step> lower_Hardmax(LowerContext& context) {
  return along_axis<double>(context, axis_of(context, -1), [](const double* x, std::size_t n, double* y) {
    std::fill_n(y, n, 0.0);
    if (n) y[best(x, n, true, false)] = 1;
  });
}

std::unique_ptr<Step> lower_CumSum(LowerContext& context) {
  return with_wide(context.input(0).dtype, [&]<class W>(W) {
    return lower_scan<W>(context, W{0}, [](W a, W b) { return static_cast<W>(a + b); });
  });
}

std::unique_ptr<Step> lower_CumProd(LowerContext& context) {
  return with_wide(context.input(0).dtype, [&]<class W>(W) {
    return lower_scan<W>(context, W{1}, [](W a, W b) { return static_cast<W>(a * b); });
  });
}

std::unique_ptr<Step> lower_LpNormalization(LowerContext& context) {
  const bool first = context.node.attrs.i("p", 2) == 1;
  return along_axis<double>(context, axis_of(context, -1), [first](const double* x, std::size_t n, double* y) {
    double norm = 0;
    for (std::size_t i = 0; i < n; ++i) norm += first ? std::abs(x[i]) : x[i] * x[i];
    if (!first) norm = std::sqrt(norm);
    for (std::size_t i = 0; i < n; ++i) y[i] = norm == 0 ? 0 : x[i] / norm;
  });
}

std::unique_ptr<Step> lower_PairwiseCoupling(LowerContext& context) {
  const std::size_t axis = axis_of(context, -1);
  const Lanes y = Lanes::axis(context.output().shape, axis);
  const auto f = [k = y.taps.size()](const double* x, std::size_t, double* const* p) { couple({x, k}, p[0]); };
  return std::make_unique<LaneStep<double>>(context, Lanes::axis(context.input(0).shape, axis), std::vector<Lanes>{y},
                                            f);
}

}  // namespace quaver
