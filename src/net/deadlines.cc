#include "net/deadlines.h"

namespace sluice::net {

Deadlines::Node::Node(Deadlines& list) : list_(&list), next_(list.head_) {
  if (next_) next_->previous_ = this;
  list.head_ = this;
}

Deadlines::Node::~Node() {
  if (previous_) previous_->next_ = next_;
  if (next_) next_->previous_ = previous_;
  if (list_->head_ == this) list_->head_ = next_;
}

void Deadlines::tick(MonoTime now) {
  if (now != MonoTime::max()) last_tick_ = now;  // max: the end of all waits, no time
  for (Node* node = head_; node;) {
    Node* next = node->next_;
    if (node->at_ <= now) {
      node->at_ = MonoTime::max();
      node->on_deadline();
    }
    node = next;
  }
}

}  // namespace sluice::net
