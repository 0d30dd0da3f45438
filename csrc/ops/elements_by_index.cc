// GatherElements, GatherND, ScatterElements and ScatterND. Indices are known only at run time, where nothing may fail:
// one outside its dimension takes the nearest end.
#include <cstring>

#include "ops/elements.h"
#include "ops/wide.h"

namespace quaver {
namespace {

// Reads indices of either width.
class Indices {
 public:
  Indices(const LowerContext& context, std::size_t i)
      : id_(context.in(i)), wide_(context.input(i).dtype == DType::i64) {
    const DType dtype = context.input(i).dtype;
    if (dtype != DType::i64 && dtype != DType::i32) {
      context.fail("its indices are ", name_of(dtype), "; int32 and int64 can be used");
    }
  }

  std::int64_t at(const RunContext& context, std::size_t i, std::int64_t size) const {
    const std::int64_t given = wide_ ? context.as<const std::int64_t>(id_)[i] : context.as<const std::int32_t>(id_)[i];
    return std::clamp<std::int64_t>(given < 0 ? given + size : given, 0, size - 1);
  }

 private:
  ValueId id_;
  bool wide_;
};

// Where the elements or slices lie that indices pick. Pick i is of `chunk` elements.
struct Picks {
  std::size_t count = 0, chunk = 1;
  virtual ~Picks() = default;
  // Of the picks [first, first + n).
  virtual void offsets(const RunContext& context, std::size_t first, std::size_t n, std::size_t* at) const = 0;
};

// pick(i, where) for the picks [first, last).
template <class Pick>
void each_pick(const Picks& picks, const RunContext& context, std::size_t first, std::size_t last, Pick pick) {
  constexpr std::size_t kBlock = 256;
  std::size_t at[kBlock];
  for (std::size_t i = first; i < last; i += kBlock) {
    const std::size_t n = std::min(kBlock, last - i);
    picks.offsets(context, i, n, at);
    for (std::size_t j = 0; j < n; ++j) pick(i + j, at[j]);
  }
}

// One index along an axis; the other coordinates are those of the index itself.
class AlongAxis final : public Picks {
 public:
  explicit AlongAxis(const LowerContext& context)
      : indices_(context, 1), shape_(context.input(1).shape), strides_(strides_of(context.input(0).shape)) {
    const Dims& x = context.input(0).shape;
    axis_ =
        static_cast<std::size_t>(normalize_axis(context.node.attrs.i("axis", 0), static_cast<std::int64_t>(x.size())));
    size_ = x[axis_];
    count = static_cast<std::size_t>(quaver::count(shape_));
    if (size_ == 0 && count > 0) context.fail("there is nothing to pick from ", to_string(x));
  }

  void offsets(const RunContext& context, std::size_t first, std::size_t n, std::size_t* at) const override {
    const auto row = static_cast<std::size_t>(shape_.back());
    const std::int64_t own = axis_ + 1 == shape_.size() ? 0 : 1;  // of a column that is no index
    for (std::size_t end = first + n; first < end;) {
      const std::size_t from = first % row, to = std::min(row, from + end - first);
      const std::int64_t base = row_base(first / row);
      for (std::size_t j = from; j < to; ++j, ++first) {
        const std::int64_t picked = indices_.at(context, first, size_) * strides_[axis_];
        *at++ = static_cast<std::size_t>(base + picked + own * static_cast<std::int64_t>(j));
      }
    }
  }

 private:
  // Of the coordinates before the last, but for the axis'.
  std::int64_t row_base(std::size_t row) const {
    std::int64_t at = 0;
    for (std::size_t k = shape_.size() - 1; k-- > 0;) {
      const auto size = static_cast<std::size_t>(shape_[k]);
      if (k != axis_) at += static_cast<std::int64_t>(row % size) * strides_[k];
      row /= size;
    }
    return at;
  }

  Indices indices_;
  Dims shape_, strides_;
  std::size_t axis_;
  std::int64_t size_;
};

// Several indices, one for each of the first dimensions behind the batch.
class ByTuple final : public Picks {
 public:
  explicit ByTuple(const LowerContext& context) : indices_(context, 1) {
    const Dims &x = context.input(0).shape, &tuples = context.input(1).shape;
    const auto batch = static_cast<std::size_t>(context.node.attrs.i("batch_dims", 0));
    n_ = static_cast<std::size_t>(tuples.back());
    const Dims strides = strides_of(x);
    for (std::size_t k = 0; k < n_; ++k) axes_.push_back({x[batch + k], strides[batch + k]});
    count = per_batch_ = 1;
    for (std::size_t k = 0; k + 1 < tuples.size(); ++k) count *= static_cast<std::size_t>(tuples[k]);
    for (std::size_t k = batch; k + 1 < tuples.size(); ++k) per_batch_ *= static_cast<std::size_t>(tuples[k]);
    for (std::size_t k = batch; k < x.size(); ++k) batch_stride_ *= static_cast<std::size_t>(x[k]);
    for (std::size_t k = batch + n_; k < x.size(); ++k) chunk *= static_cast<std::size_t>(x[k]);
    if (batch_stride_ == 0 && count * chunk > 0) context.fail("there is nothing to pick from ", to_string(x));
  }

  void offsets(const RunContext& context, std::size_t first, std::size_t n, std::size_t* at) const override {
    for (std::size_t i = first; i < first + n; ++i) {
      std::int64_t picked = 0;
      for (std::size_t k = 0; k < n_; ++k) picked += indices_.at(context, i * n_ + k, axes_[k].size) * axes_[k].stride;
      *at++ = i / per_batch_ * batch_stride_ + static_cast<std::size_t>(picked);
    }
  }

 private:
  struct Axis {
    std::int64_t size, stride;
  };
  Indices indices_;
  std::size_t n_, per_batch_ = 1, batch_stride_ = 1;
  std::vector<Axis> axes_;
};

class GatherStep final : public RowStep {
 public:
  GatherStep(const LowerContext& context, std::unique_ptr<Picks> picks)
      : picks_(std::move(picks)), x_(context.in(0)), y_(context.out()), element_(size_of(context.input(0).dtype)) {
    info.kernel = "gather_by_index";
    split(picks_->count, 2 * bytes_of(context.output()));
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    const std::size_t bytes = picks_->chunk * element_;
    const std::byte* x = context.as<const std::byte>(x_);
    std::byte* y = context.as<std::byte>(y_);
    // Of a known size a copy is no call.
    const auto copy_all = [&](auto size) {
      each_pick(*picks_, context, first, last,
                [&](std::size_t i, std::size_t at) { std::memcpy(y + i * size, x + at * element_, size); });
    };
    if (bytes == 4) return copy_all(std::integral_constant<std::size_t, 4>{});
    if (bytes == 8) return copy_all(std::integral_constant<std::size_t, 8>{});
    copy_all(bytes);
  }

  std::unique_ptr<Picks> picks_;
  ValueId x_, y_;
  std::size_t element_;
};

enum class Reduction { none, add, mul, min, max };

Reduction reduction_of(const LowerContext& context) {
  const std::string name = context.node.attrs.s("reduction", "none");
  if (name == "add") return Reduction::add;
  if (name == "mul") return Reduction::mul;
  if (name == "min") return Reduction::min;
  return name == "max" ? Reduction::max : Reduction::none;
}

template <class W>
W combined(Reduction reduction, W a, W b) {
  switch (reduction) {
    case Reduction::add: return a + b;
    case Reduction::mul: return a * b;
    case Reduction::min: return b < a ? b : a;
    case Reduction::max: return b > a ? b : a;
    default: return b;
  }
}

// In one unit: updates of one place come in order.
template <class W>
class ScatterStep final : public Step {
 public:
  ScatterStep(const LowerContext& context, std::unique_ptr<Picks> picks)
      : picks_(std::move(picks)),
        reduction_(reduction_of(context)),
        x_(context.in(0)),
        updates_(context.in(2)),
        y_(context.out()),
        element_(size_of(context.output().dtype)),
        bytes_(bytes_of(context.output())),
        read_(reader_of<W>(context.output().dtype)),
        write_(writer_of<W>(context.output().dtype)) {
    info.kernel = "scatter";
  }

  void run(const RunContext& context, std::size_t, std::size_t) const override {
    std::byte* y = context.as<std::byte>(y_);
    std::memcpy(y, context.as<const std::byte>(x_), bytes_);
    const std::byte* updates = context.as<const std::byte>(updates_);
    const std::size_t chunk = picks_->chunk * element_;
    each_pick(*picks_, context, 0, picks_->count,
              [&](std::size_t i, std::size_t at) { put(y + at * element_, updates + i * chunk); });
  }

 private:
  void put(std::byte* to, const std::byte* update) const {
    if (reduction_ == Reduction::none) {
      std::memcpy(to, update, picks_->chunk * element_);
      return;
    }
    for (std::size_t j = 0; j < picks_->chunk; ++j, to += element_, update += element_) {
      W a, b;
      read_(to, 1, 1, &a);
      read_(update, 1, 1, &b);
      a = combined(reduction_, a, b);
      write_(&a, 1, 1, to);
    }
  }

  std::unique_ptr<Picks> picks_;
  Reduction reduction_;
  ValueId x_, updates_, y_;
  std::size_t element_, bytes_;
  ReadWide<W> read_;
  WriteWide<W> write_;
};

std::unique_ptr<Step> scatter(const LowerContext& context, std::unique_ptr<Picks> picks) {
  return with_wide(context.output().dtype, [&]<class W>(W) -> std::unique_ptr<Step> {
    return std::make_unique<ScatterStep<W>>(context, std::move(picks));
  });
}

}  // namespace

std::unique_ptr<Step> lower_GatherElements(LowerContext& context) {
  return std::make_unique<GatherStep>(context, std::make_unique<AlongAxis>(context));
}

std::unique_ptr<Step> lower_GatherND(LowerContext& context) {
  return std::make_unique<GatherStep>(context, std::make_unique<ByTuple>(context));
}

std::unique_ptr<Step> lower_ScatterElements(LowerContext& context) {
  return scatter(context, std::make_unique<AlongAxis>(context));
}

std::unique_ptr<Step> lower_ScatterND(LowerContext& context) {
  return scatter(context, std::make_unique<ByTuple>(context));
}

}  // namespace quaver
