// LSTM, GRU and RNN, one direction. Sequences of a batch are independent: a unit is one of them, and those of a share
// go through the product with the recurrent weights together. The state lives in the output of the last one.
#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/gemm/pack_kn.h"
#include "ops/activation_list.h"
#include "ops/gemm_step.h"
#include "ops/pack_cache.h"
#include "ops/row_step.h"

namespace quaver {
namespace {

// out += h · Rᵀ for some rows of R [·, H]: packed when the plan is made where R is constant, else once a run.
class Product {
 public:
  Product(LowerContext& context, std::size_t first, std::size_t rows, std::size_t hidden)
      : kernel_(
            &kernels::pick_gemm_f32(context.isa, static_cast<std::size_t>(context.input(0).shape[1]), rows, hidden)),
        r_(context.in(1)),
        first_(first),
        n_(rows),
        k_(hidden),
        zeros_(pad_to_panel(rows), 0.0F) {
    if (!context.input(1).constant()) return;
    const float* source = context.constant<float>(1).data();
    const std::string kind = text("recurrent ", first, "+", rows, "x", hidden);
    packed_ = context.cache.get(source, kind, bytes(), [&](std::byte* out) {
      kernels::pack_gemm_f32(rows, 1, hidden, source + first * hidden, reinterpret_cast<float*>(out));
    });
  }

  std::size_t bytes() const { return kernels::packed_count_f32(n_, 1, k_) * sizeof(float); }
  std::size_t scratch() const { return packed_ ? 0 : align_up(bytes()); }
  const kernels::GemmF32Kernel& kernel() const { return *kernel_; }
  std::int64_t macs() const { return static_cast<std::int64_t>(n_ * k_); }

  // The packed weights; `room` holds scratch() bytes.
  const float* weights(const RunContext& context, std::byte* room) const {
    if (packed_) return reinterpret_cast<const float*>(packed_->data());
    auto* out = reinterpret_cast<float*>(room);
    kernels::pack_gemm_f32(n_, 1, k_, context.as<const float>(r_) + first_ * k_, out);
    return out;
  }

  // The rows lie `stride` floats apart in `out`.
  void add(const float* weights, const float* h, std::size_t rows, float* out, std::size_t stride) const {
    kernels::GemmF32Args args;
    args.m = rows, args.n = n_, args.k = k_;
    args.a = h, args.a_stride = k_ * sizeof(float);
    args.w = weights, args.bias = zeros_.data();
    args.r = args.c = out;
    args.r_stride = args.c_stride = stride * sizeof(float);
    kernel_->run(args);
  }

 private:
  const kernels::GemmF32Kernel* kernel_;
  ValueId r_;
  std::size_t first_, n_, k_;
  std::vector<float> zeros_;
  PackedBlock packed_;
};

// The sequences [begin, end) of the batch while they run.
struct Share {
  std::size_t begin, rows;
  float* pre;         // [rows][gates · hidden], then [rows][hidden] of room
  const float* w[2];  // packed weights of each product
};

class RecurrentStep : public Step {
 public:
  RecurrentStep(LowerContext& context, std::size_t gates)
      : hidden(static_cast<std::size_t>(context.input(1).shape[1])),
        gates_(gates),
        steps_(static_cast<std::size_t>(context.input(0).shape[0])),
        batch_(static_cast<std::size_t>(context.input(0).shape[1])),
        reverse_(context.node.attrs.i("reverse", 0) != 0),
        clip_(static_cast<float>(context.node.attrs.f("clip", std::numeric_limits<double>::infinity()))),
        x_(context.in(0)),
        y_(context.out(0)),
        h_(context.out(1)) {
    if (context.has_input(2)) lengths_ = context.in(2);
    if (context.has_input(3)) start_ = context.in(3);
    units = std::max<std::size_t>(batch_, 1);
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const final {
    if (batch_ == 0) return;
    Share share = shared(context, first, last - first);
    begin(context, start_, h_, share);
    begin_more(context, share);
    for (std::size_t s = 0; s < steps_; ++s) {
      for (std::size_t r = 0; r < share.rows; ++r) load(context, share, s, r);
      advance(context, share, s);
      for (std::size_t r = 0; r < share.rows; ++r) store(context, share, s, r);
    }
  }

 protected:
  // To be called at the end of a constructor.
  void finish(LowerContext& context, std::initializer_list<std::pair<std::size_t, std::size_t>> rows_of_products) {
    std::int64_t macs = 0;
    for (const auto& [first, rows] : rows_of_products) {
      products.emplace_back(context, first, rows, hidden);
      scratch += products.back().scratch();
      macs += products.back().macs();
    }
    scratch += batch_ * (gates_ + 1) * hidden * sizeof(float);
    info = {products[0].kernel().name, products[0].kernel().isa, macs * std::int64_t(steps_ * batch_)};
  }

  // The state before the first step: what is given, or zeros.
  void begin(const RunContext& context, ValueId from, ValueId state, const Share& share) const {
    float* to = context.as<float>(state) + share.begin * hidden;
    if (from == kNone) {
      std::fill_n(to, share.rows * hidden, 0.0F);
    } else {
      std::memcpy(to, context.as<const float>(from) + share.begin * hidden, share.rows * hidden * sizeof(float));
    }
  }

  float* state(const RunContext& context, const Share& share) const {
    return context.as<float>(h_) + share.begin * hidden;
  }
  // Row r of the gates before their activations, and behind all rows a room for one more vector a row.
  float* pre(const Share& share, std::size_t r) const { return share.pre + r * gates_ * hidden; }
  float* room(const Share& share) const { return share.pre + share.rows * gates_ * hidden; }
  bool runs(const RunContext& context, const Share& share, std::size_t s, std::size_t r) const {
    return s < length(context, share.begin + r);
  }
  void clip(float* x, std::size_t n) const {
    if (clip_ == std::numeric_limits<float>::infinity()) return;
    for (std::size_t i = 0; i < n; ++i) x[i] = std::clamp(x[i], -clip_, clip_);
  }

  virtual void begin_more(const RunContext&, const Share&) const {}
  virtual void advance(const RunContext& context, const Share& share, std::size_t s) const = 0;

  std::size_t hidden;
  std::vector<Product> products;

 private:
  Share shared(const RunContext& context, std::size_t first, std::size_t rows) const {
    Share share{first, rows, nullptr, {nullptr, nullptr}};
    std::byte* at = context.scratch;
    for (std::size_t p = 0; p < products.size(); ++p) {
      share.w[p] = products[p].weights(context, at);
      at += products[p].scratch();
    }
    share.pre = reinterpret_cast<float*>(at);
    return share;
  }

  std::size_t length(const RunContext& context, std::size_t b) const {
    if (lengths_ == kNone) return steps_;
    return static_cast<std::size_t>(
        std::clamp<std::int64_t>(context.as<const std::int32_t>(lengths_)[b], 0, std::int64_t(steps_)));
  }

  // Which of the inputs a sequence takes in step s < its length.
  std::size_t time(const RunContext& context, std::size_t s, std::size_t b) const {
    return reverse_ ? length(context, b) - 1 - s : s;
  }

  void load(const RunContext& context, const Share& share, std::size_t s, std::size_t r) const {
    const std::size_t b = share.begin + r, n = gates_ * hidden;
    if (!runs(context, share, s, r)) return std::fill_n(pre(share, r), n, 0.0F), void();
    std::memcpy(pre(share, r), context.as<const float>(x_) + (time(context, s, b) * batch_ + b) * n, n * sizeof(float));
  }

  void store(const RunContext& context, const Share& share, std::size_t s, std::size_t r) const {
    const std::size_t b = share.begin + r;
    const bool in = runs(context, share, s, r);
    float* y = context.as<float>(y_) + ((in ? time(context, s, b) : s) * batch_ + b) * hidden;
    if (in) {
      std::memcpy(y, state(context, share) + r * hidden, hidden * sizeof(float));
    } else {
      std::fill_n(y, hidden, 0.0F);
    }
  }

  std::size_t gates_, steps_, batch_;
  bool reverse_;
  float clip_;
  ValueId x_, y_, h_, lengths_ = kNone, start_ = kNone;
};

class RnnStep final : public RecurrentStep {
 public:
  explicit RnnStep(LowerContext& context) : RecurrentStep(context, 1), f_(activations_of(context, 1)) {
    finish(context, {{0, hidden}});
  }

 private:
  void advance(const RunContext& context, const Share& share, std::size_t s) const override {
    products[0].add(share.w[0], state(context, share), share.rows, share.pre, hidden);
    for (std::size_t r = 0; r < share.rows; ++r) {
      if (!runs(context, share, s, r)) continue;
      clip(pre(share, r), hidden);
      f_[0].run(pre(share, r), hidden);
      std::memcpy(state(context, share) + r * hidden, pre(share, r), hidden * sizeof(float));
    }
  }

  std::vector<Activation> f_;
};

// Gates z (update), r (reset), n (new): h = (1 − z) · n + z · h.
class GruStep final : public RecurrentStep {
 public:
  explicit GruStep(LowerContext& context)
      : RecurrentStep(context, 3),
        f_(activations_of(context, 2)),
        linear_(context.node.attrs.i("linear_before_reset", 0) != 0) {
    if (context.has_input(4)) bias_ = context.in(4);
    finish(context, {{0, 2 * hidden}, {2 * hidden, hidden}});
  }

 private:
  void advance(const RunContext& context, const Share& share, std::size_t s) const override {
    float* h = state(context, share);
    float* product = room(share);  // h · Rᵀ for n, or of r ∘ h
    products[0].add(share.w[0], h, share.rows, share.pre, 3 * hidden);
    for (std::size_t r = 0; r < share.rows; ++r) {
      clip(pre(share, r), 2 * hidden);
      f_[0].run(pre(share, r), 2 * hidden);
    }
    if (linear_) {
      for (std::size_t r = 0; r < share.rows; ++r) start(context, product + r * hidden);
      products[1].add(share.w[1], h, share.rows, product, hidden);
    } else {
      for (std::size_t r = 0; r < share.rows; ++r) {
        const float* reset = pre(share, r) + hidden;
        for (std::size_t i = 0; i < hidden; ++i) product[r * hidden + i] = reset[i] * h[r * hidden + i];
      }
      products[1].add(share.w[1], product, share.rows, share.pre + 2 * hidden, 3 * hidden);
    }
    for (std::size_t r = 0; r < share.rows; ++r) {
      if (runs(context, share, s, r)) update(pre(share, r), product + r * hidden, h + r * hidden);
    }
  }

  void start(const RunContext& context, float* product) const {
    if (bias_ == kNone) {
      std::fill_n(product, hidden, 0.0F);
    } else {
      std::memcpy(product, context.as<const float>(bias_), hidden * sizeof(float));
    }
  }

  void update(float* pre, const float* product, float* h) const {
    const float *z = pre, *reset = pre + hidden;
    float* n = pre + 2 * hidden;
    if (linear_) {
      for (std::size_t i = 0; i < hidden; ++i) n[i] += reset[i] * product[i];
    }
    clip(n, hidden);
    f_[1].run(n, hidden);
    for (std::size_t i = 0; i < hidden; ++i) h[i] = (1.0F - z[i]) * n[i] + z[i] * h[i];
  }

  std::vector<Activation> f_;
  bool linear_;
  ValueId bias_ = kNone;
};

// Gates i (input), o (output), f (forget), c (cell): c = f · c + i · new, h = o · h(c).
class LstmStep final : public RecurrentStep {
 public:
  explicit LstmStep(LowerContext& context)
      : RecurrentStep(context, 4),
        f_(activations_of(context, 3)),
        coupled_(context.node.attrs.i("input_forget", 0) != 0),
        c_(context.out(2)) {
    if (context.has_input(4)) cell_start_ = context.in(4);
    if (context.has_input(5)) peepholes_ = context.in(5);
    finish(context, {{0, 4 * hidden}});
  }

 private:
  void begin_more(const RunContext& context, const Share& share) const override {
    begin(context, cell_start_, c_, share);
  }

  void advance(const RunContext& context, const Share& share, std::size_t s) const override {
    float* h = state(context, share);
    float* c = context.as<float>(c_) + share.begin * hidden;
    products[0].add(share.w[0], h, share.rows, share.pre, 4 * hidden);
    for (std::size_t r = 0; r < share.rows; ++r) {
      if (runs(context, share, s, r)) update(context, pre(share, r), h + r * hidden, c + r * hidden);
    }
  }

  void update(const RunContext& context, float* pre, float* h, float* c) const {
    float *in = pre, *out = pre + hidden, *forget = pre + 2 * hidden, *fresh = pre + 3 * hidden;
    const float* p = peepholes_ == kNone ? nullptr : context.as<const float>(peepholes_);
    peep(p, c, in);
    peep(p ? p + 2 * hidden : nullptr, c, forget);
    gate(0, in);
    gate(1, fresh);
    if (coupled_) {
      for (std::size_t i = 0; i < hidden; ++i) forget[i] = 1.0F - in[i];
    } else {
      gate(0, forget);
    }
    for (std::size_t i = 0; i < hidden; ++i) c[i] = forget[i] * c[i] + in[i] * fresh[i];
    peep(p ? p + hidden : nullptr, c, out);
    gate(0, out);
    std::memcpy(fresh, c, hidden * sizeof(float));
    f_[2].run(fresh, hidden);
    for (std::size_t i = 0; i < hidden; ++i) h[i] = out[i] * fresh[i];
  }

  void peep(const float* weights, const float* c, float* x) const {
    if (!weights) return;
    for (std::size_t i = 0; i < hidden; ++i) x[i] += weights[i] * c[i];
  }

  void gate(std::size_t activation, float* x) const {
    clip(x, hidden);
    f_[activation].run(x, hidden);
  }

  std::vector<Activation> f_;
  bool coupled_;
  ValueId c_, cell_start_ = kNone, peepholes_ = kNone;
};

}  // namespace

std::unique_ptr<Step> lower_LSTM(LowerContext& context) { return std::make_unique<LstmStep>(context); }
std::unique_ptr<Step> lower_GRU(LowerContext& context) { return std::make_unique<GruStep>(context); }
std::unique_ptr<Step> lower_RNN(LowerContext& context) { return std::make_unique<RnnStep>(context); }

}  // namespace quaver
