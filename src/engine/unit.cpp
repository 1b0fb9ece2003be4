#include "skyloom/engine/unit.hpp"

#include <algorithm>
#include <cstring>

#include "skyloom/core/errors.hpp"

namespace skyloom::engine {

void PackedTexts::add(std::string_view text) {
  constexpr std::ptrdiff_t kMostShared = 255;
  if (text.find('\0') != std::string_view::npos) {
    throw FatalError("plan: a zero byte in '" + std::string(text.data()) + "...'");
  }
  if (bytes_.empty() && text.empty()) {
    ++count_;
    return;
  }
  if (bytes_.empty() && count_ > 0) {
    const std::size_t empty = std::exchange(count_, 0);
    for (; count_ < empty; ++count_) {
      if (count_ % kRun == 0) {
        starts_.push_back(bytes_.size());
      }
      bytes_.append(2, '\0');
    }
  }
  if (count_ % kRun == 0) {
    starts_.push_back(bytes_.size());
    last_.clear();
  }
  const auto limit = std::min({std::ssize(text), std::ssize(last_), kMostShared});
  const auto shared = std::mismatch(text.begin(), text.begin() + limit, last_.begin()).first;
  bytes_ += static_cast<char>(shared - text.begin());
  bytes_.append(shared, text.end());
  bytes_ += '\0';
  last_ = text;
  ++count_;
}

void PackedTexts::read_next(Place& place, std::string& text) const {
  if (bytes_.empty()) {
    return;
  }
  const char* at = bytes_.data() + place;
  text.resize(static_cast<unsigned char>(*at));
  const std::size_t length = std::strlen(at + 1);
  text.append(at + 1, length);
  place += length + 2;
}

PackedTexts::Place PackedTexts::read(std::size_t i, std::string& text) const {
  text.clear();
  if (bytes_.empty()) {
    return 0;
  }
  Place place = starts_[i / kRun];
  for (std::size_t k = 0; k <= i % kRun; ++k) {
    read_next(place, text);
  }
  return place;
}

UnitList::Iterator::Iterator(const UnitList& list, std::size_t index) : list_(&list) {
  unit_.index = index;
  if (index < list.size()) {
    key_ = list.keys_.read(index, unit_.key);
    source_ = list.sources_.read(index, unit_.source);
    random_key_ = list.random_keys_.read(index, unit_.random_key);
    take_numbers();
  }
}

UnitList::Iterator& UnitList::Iterator::operator++() {
  if (++unit_.index < list_->size()) {
    list_->keys_.read_next(key_, unit_.key);
    list_->sources_.read_next(source_, unit_.source);
    list_->random_keys_.read_next(random_key_, unit_.random_key);
    take_numbers();
  }
  return *this;
}

void UnitList::Iterator::take_numbers() {
  unit_.cost = static_cast<double>(list_->costs_[unit_.index]);
  unit_.items = list_->items_.empty() ? 0 : list_->items_[unit_.index];
}

void UnitList::add(const Unit& unit) {
  keys_.add(unit.key);
  sources_.add(unit.source);
  random_keys_.add(unit.random_key);
  if (unit.items != 0 && items_.empty()) {
    items_.resize(size(), 0);
  }
  if (unit.items != 0 || !items_.empty()) {
    items_.push_back(unit.items);
  }
  costs_.push_back(static_cast<float>(unit.cost));
}

UnitList UnitList::names() const {
  UnitList out;
  out.costs_.resize(size(), 1.0F);
  out.keys_ = keys_;
  out.items_ = items_;
  for (std::size_t i = 0; i < size(); ++i) {
    out.sources_.add({});
    out.random_keys_.add({});
  }
  return out;
}

}  // namespace skyloom::engine
