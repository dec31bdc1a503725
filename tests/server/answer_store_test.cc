// SPDX-License-Identifier: Apache-2.0
#include "server/answer_store.h"

#include <doctest/doctest.h>

namespace cleave::test {
namespace {

using server::AnswerStore;
using server::RequestKey;
using server::RequestShape;
using server::StoredAnswer;
using Found = AnswerStore::Found;
using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr AnswerStore::Time kFirstStored{seconds(1'000)};
const RequestShape kShape{.variant = 1, .cut = 5, .attachment_bytes = 100};

std::shared_ptr<const StoredAnswer> answer(float score, std::size_t count = 3) {
  return std::make_shared<StoredAnswer>(StoredAnswer{0, std::vector<float>(count, score), 1, 2, 3});
}

TEST_CASE("what was put is found, by the device that asked and nobody else") {
  AnswerStore store({});
  store.put({"gate", 7}, kShape, answer(0.5F), kFirstStored);
  const auto hit = store.find({"gate", 7}, kShape, kFirstStored);
  REQUIRE(hit.found == Found::kAnswer);
  CHECK(hit.answer->scores == std::vector<float>(3, 0.5F));
  CHECK(hit.answer->compute_ns == 3);
  CHECK(store.find({"yard", 7}, kShape, kFirstStored).found == Found::kNothing);
  CHECK(store.find({"gate", 8}, kShape, kFirstStored).found == Found::kNothing);
  CHECK(store.find({"", 7}, kShape, kFirstStored).found == Found::kNothing);
}

TEST_CASE("the same key with anything else about it is another request") {
  AnswerStore store({});
  store.put({"gate", 7}, kShape, answer(0.5F), kFirstStored);
  const auto found = [&](auto change) {
    RequestShape shape = kShape;
    change(shape);
    return store.find({"gate", 7}, shape, kFirstStored).found;
  };
  CHECK(found([](RequestShape&) {}) == Found::kAnswer);
  CHECK(found([](RequestShape& shape) { shape.model[31] = 1; }) == Found::kOther);
  CHECK(found([](RequestShape& shape) { shape.variant = 0; }) == Found::kOther);
  CHECK(found([](RequestShape& shape) { shape.cut = 6; }) == Found::kOther);
  CHECK(found([](RequestShape& shape) { shape.codec = fbs::Codec::Int8; }) == Found::kOther);
  CHECK(found([](RequestShape& shape) { shape.quality = 1; }) == Found::kOther);
  CHECK(found([](RequestShape& shape) { shape.attachment_bytes = 101; }) == Found::kOther);
}

TEST_CASE("answers end with their time") {
  AnswerStore store({.time_to_live = milliseconds(100)});
  store.put({"gate", 1}, kShape, answer(1), kFirstStored);
  store.put({"gate", 2}, kShape, answer(2), kFirstStored + milliseconds(50));
  CHECK(store.find({"gate", 1}, kShape, kFirstStored + milliseconds(99)).found == Found::kAnswer);
  CHECK(store.find({"gate", 1}, kShape, kFirstStored + milliseconds(100)).found == Found::kNothing);
  CHECK(store.find({"gate", 2}, kShape, kFirstStored + milliseconds(100)).found == Found::kAnswer);
  CHECK(store.entries() == 1);
  CHECK(store.find({"gate", 2}, kShape, kFirstStored + seconds(9)).found == Found::kNothing);
  CHECK(store.entries() == 0);
  CHECK(store.bytes() == 0);
  CHECK(store.evicted() == 0);
}

TEST_CASE("over the number of entries the oldest goes; what somebody still holds stays whole") {
  AnswerStore store({.max_entries = 2});
  store.put({"gate", 1}, kShape, answer(1), kFirstStored);
  const auto held = store.find({"gate", 1}, kShape, kFirstStored).answer;
  store.put({"gate", 2}, kShape, answer(2), kFirstStored);
  store.put({"gate", 3}, kShape, answer(3), kFirstStored);
  CHECK(store.entries() == 2);
  CHECK(store.evicted() == 1);
  CHECK(store.find({"gate", 1}, kShape, kFirstStored).found == Found::kNothing);
  CHECK(store.find({"gate", 2}, kShape, kFirstStored).found == Found::kAnswer);
  CHECK(held->scores[0] == 1.0F);
}

TEST_CASE("bytes are bounded; an answer that alone is over them is not kept") {
  AnswerStore store({.max_bytes = 10'000});
  for (std::uint64_t id = 1; id <= 100; ++id) {
    store.put({"gate", id}, kShape, answer(1, 500), kFirstStored);  // 2000 bytes of scores each
    CHECK(store.bytes() <= 10'000);
  }
  CHECK(store.entries() == 4);
  CHECK(store.find({"gate", 100}, kShape, kFirstStored).found == Found::kAnswer);
  store.put({"gate", 101}, kShape, answer(1, 5'000), kFirstStored);
  CHECK(store.find({"gate", 101}, kShape, kFirstStored).found == Found::kNothing);
  CHECK(store.entries() == 4);
}

TEST_CASE("an answer put again replaces the first; without entries nothing is kept") {
  AnswerStore store({.max_entries = 2});
  store.put({"gate", 1}, kShape, answer(1), kFirstStored);
  store.put({"gate", 2}, kShape, answer(2), kFirstStored);
  const std::uint64_t bytes = store.bytes();
  store.put({"gate", 1}, kShape, answer(9), kFirstStored);
  CHECK(store.bytes() == bytes);
  CHECK(store.find({"gate", 1}, kShape, kFirstStored).answer->scores[0] == 9.0F);
  store.put({"gate", 3}, kShape, answer(3), kFirstStored);  // 2 is the oldest now
  CHECK(store.find({"gate", 2}, kShape, kFirstStored).found == Found::kNothing);
  CHECK(store.find({"gate", 1}, kShape, kFirstStored).found == Found::kAnswer);

  AnswerStore none({.max_entries = 0});
  none.put({"gate", 1}, kShape, answer(1), kFirstStored);
  CHECK(none.entries() == 0);
}

}  // namespace
}  // namespace cleave::test
