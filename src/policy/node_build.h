// Short ways to make a document's tree. Private to this folder.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "policy/source.h"

namespace sluice::policy {

inline Node text_node(std::string text, std::size_t line) {
  Node node;
  node.kind = Node::Kind::kString;
  node.text = std::move(text);
  node.line = line;
  return node;
}

inline Node number_node(std::string spelling, std::size_t line) {
  Node node = text_node(std::move(spelling), line);
  node.kind = Node::Kind::kNumber;
  return node;
}

inline Node container(Node::Kind kind, std::size_t line) {
  Node node;
  node.kind = kind;
  node.line = line;
  return node;
}

inline void add(Node& object, std::string name, Node value) {
  object.names.push_back({std::move(name), value.line});
  object.items.push_back(std::move(value));
}

inline Node list_of(const std::vector<Node>& items, std::size_t line) {
  Node list = container(Node::Kind::kArray, line);
  list.items = items;
  return list;
}

}  // namespace sluice::policy
