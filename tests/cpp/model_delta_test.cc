// Deltas: what makes one model out of another, and refuses to do it to a third.
#include <set>

#include "base/error.h"
#include "cpp/check.h"
#include "cpp/model_sample.h"
#include "graph/schema.h"
#include "model/shared_constants.h"

namespace {

using namespace sample;

// The sample with other weights in its convolution.
Graph retrained() {
  Graph next = graph();
  next.value(1).data = ramp(108, 5);
  return next;
}

Graph applied(const Graph& base, const File& delta) { return apply_delta(base, blob(delta), "update.qdelta"); }

std::size_t shared_constants(const Graph& a, const Graph& b) {
  std::set<const std::byte*> addresses;
  for (const Value& value : a.values) {
    if (value.data) addresses.insert(value.data->data());
  }
  std::size_t shared = 0;
  for (const Value& value : b.values) shared += value.data && addresses.count(value.data->data());
  return shared;
}

}  // namespace

TEST(delta_makes_the_new_model_and_shares_the_rest) {
  const Graph base = read(write_model(graph())), next = retrained();
  const Graph result = applied(base, write_delta(base, next));
  CHECK(write_model(result) == write_model(next));
  CHECK_EQ(shared_constants(base, result), 3u);  // all but the weights
}

TEST(delta_has_only_what_changed) {
  Graph base = graph();
  base.value(2).data = ramp(1 << 20);
  base.value(2).shape = {1 << 18};
  Graph next = base;
  next.value(1).data = ramp(108, 5);
  CHECK(write_delta(base, next).size() < 3 * kPage);
  CHECK(write_delta(base, base).size() < 3 * kPage);
  CHECK(write_delta(next, base) != write_delta(base, next));
}

TEST(delta_of_the_same_model_shares_all) {
  const Graph base = read(write_model(graph()));
  const Graph result = applied(base, write_delta(base, base));
  CHECK_EQ(shared_constants(base, result), 4u);
  CHECK_EQ(identity(result), identity(base));
}

TEST(delta_changes_the_graph_too) {
  Graph next = graph();
  next.nodes[1].op = Op::Identity;
  next.nodes[1].attrs = {};
  const Graph result = applied(graph(), write_delta(graph(), next));
  CHECK(write_model(result) == write_model(next));
}

TEST(delta_refuses_another_base) {
  const File delta = write_delta(graph(), retrained());
  CHECK_THROWS(applied(retrained(), delta), Error, "made for the model");
  Graph renamed = graph();
  renamed.nodes[0].name = "other";
  CHECK_THROWS(applied(renamed, delta), Error, "made for the model");
}

TEST(delta_applied_twice_in_a_row) {
  const Graph one = graph(), two = retrained();
  Graph three = retrained();
  three.value(2).data = ramp(16, 9);
  const Graph result = applied(applied(one, write_delta(one, two)), write_delta(two, three));
  CHECK(write_model(result) == write_model(three));
}

TEST(delta_and_model_are_not_confused) {
  const File delta = write_delta(graph(), retrained());
  CHECK_THROWS(read(delta), Error, "a delta, not a model");
  CHECK_THROWS(applied(graph(), write_model(graph())), Error, "a model, not a delta");
  CHECK_THROWS(applied(graph(), File(100)), Error, "not a Quaver delta");
}

TEST(delta_damaged_anywhere_is_refused_or_harmless) {
  const Graph base = graph();
  const File delta = write_delta(base, retrained()), expected = write_model(retrained());
  std::size_t refused = 0;
  for (std::size_t at = 0; at < delta.size(); at += at < kPage ? 1 : 7) {
    File damaged = delta;
    damaged[at] ^= std::byte{4};
    try {
      CHECK(write_model(applied(base, damaged)) == expected);
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 100);
}

TEST(delta_damaged_behind_its_hash_is_refused_or_a_graph) {
  const Graph base = graph();
  const File delta = write_delta(base, retrained());
  for (std::size_t at = header_of(delta).root_offset; at < delta.size(); ++at) {
    for (const int bit : {1, 64, 255}) {
      File damaged = delta;
      damaged[at] ^= std::byte(bit);
      rehash(damaged);
      try {
        verify(applied(base, damaged));
      } catch (const Error&) {
        continue;
      }
    }
  }
}

TEST(delta_truncated_is_refused) {
  const File delta = write_delta(graph(), retrained());
  for (std::size_t size = 0; size < delta.size(); size += 41) {
    CHECK_THROWS(applied(graph(), File(delta.begin(), delta.begin() + size)), Error, "update.qdelta");
  }
}

TEST(identity_is_of_the_contents) {
  CHECK_EQ(identity(graph()), identity(read(write_model(graph()))));
  CHECK(identity(graph()) != identity(retrained()));
}

TEST(constants_used_alike_are_those_of_unchanged_nodes) {
  const Graph base = read(write_model(graph()));
  const Graph next = applied(base, write_delta(base, retrained()));
  const auto alike = constants_used_alike(base, next);
  CHECK(!alike.count(next.value(1).data->data()));  // changed
  CHECK(!alike.count(next.value(2).data->data()));  // of the same node
  CHECK(alike.count(next.value(5).data->data()));
  Graph requantized = base;
  requantized.value(1).quant->scale[0] = 2;
  CHECK(!constants_used_alike(base, requantized).count(base.value(1).data->data()));
}
