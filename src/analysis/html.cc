#include "analysis/html.h"

#include <gumbo.h>

#include <array>
#include <deque>

#include "analysis/html_memory.h"
#include "analysis/html_texts.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

// Nothing with a destructor may live in this frame or in gumbo's, which is C. Null: it ended early, `ending` says why.
const GumboOutput* run_gumbo(GumboMemory& memory, const char* html, std::size_t size, int& ending) {
  switch (setjmp(memory.ending)) {  // C allows no assignment of it
    case 0:
      break;
    case GumboMemory::kTime:
      ending = GumboMemory::kTime;
      return nullptr;
    case GumboMemory::kBroken:
      ending = GumboMemory::kBroken;
      return nullptr;
    default:
      ending = GumboMemory::kMemory;
      return nullptr;
  }
  GumboMemory::running = &memory;
  GumboOptions options = kGumboDefaultOptions;
  options.allocator = GumboMemory::allocate;
  options.deallocator = GumboMemory::release;
  options.userdata = &memory;
  options.max_errors = 0;
  return gumbo_parse_with_options(&options, html, size);
}

// Of an element that gumbo has no name for: as it is written.
std::string own_name(const GumboElement& element) {
  GumboStringPiece tag = element.original_tag;
  gumbo_tag_from_original_text(&tag);
  return to_lower(std::string_view(tag.data ? tag.data : "", tag.data ? tag.length : 0));
}

bool is_void(std::string_view name) {
  static constexpr std::array<std::string_view, 14> kVoid{"area",  "base", "br",   "col",   "embed",  "hr",    "img",
                                                          "input", "link", "meta", "param", "source", "track", "wbr"};
  return std::find(kVoid.begin(), kVoid.end(), name) != kVoid.end();
}

bool is_raw(std::string_view name) { return name == "script" || name == "style"; }

void append_escaped(std::string& out, std::string_view text, bool quoted) {
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<' && !quoted) {
      out += "&lt;";
    } else if (c == '>' && !quoted) {
      out += "&gt;";
    } else if (c == '"' && quoted) {
      out += "&quot;";
    } else {
      out += c;
    }
  }
}

// Visits `node` and all in it, in document order, without recursion: enter(node), and leave(node) behind its children.
template <class Enter, class Leave>
void walk(const HtmlNode& node, const Enter& enter, const Leave& leave) {
  const HtmlNode* at = &node;
  for (;;) {
    if (!enter(*at)) return;
    if (at->first_child) {
      at = at->first_child;
      continue;
    }
    for (;;) {
      leave(*at);
      if (at == &node) return;
      if (at->next) break;
      at = at->parent;
    }
    at = at->next;
  }
}

}  // namespace

struct HtmlPage::Memory {
  Memory(std::string_view page, bool texts_aside)
      : html(repair_utf8(page)), texts(html, texts_aside), gumbo(html.size(), kMaxHtmlMemory), pool(html.size()) {}

  std::string html;
  TextsAside texts;
  GumboMemory gumbo;
  HtmlResource pool;  // of attributes and nodes
  std::pmr::deque<HtmlNode> nodes{&pool};
  std::deque<std::string> names;
  std::vector<const HtmlNode*> elements;
  bool cut = false;

  std::string_view name_of(const GumboElement& element) {
    if (element.tag != GUMBO_TAG_UNKNOWN) return gumbo_normalized_tagname(element.tag);
    return names.emplace_back(own_name(element));
  }

  // The attributes lie in the pool: pages have many, and most elements few.
  std::span<const HtmlNode::Attribute> attributes_of(const GumboElement& element) {
    const std::size_t count = element.attributes.length;
    if (count == 0) return {};
    std::pmr::polymorphic_allocator<HtmlNode::Attribute> allocator(&pool);
    HtmlNode::Attribute* const made = allocator.allocate(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto* attribute = static_cast<const GumboAttribute*>(element.attributes.data[i]);
      allocator.construct(made + i, attribute->name, attribute->value);
    }
    return {made, count};
  }

  // Behind `last`, the youngest child of `parent` so far, which it becomes.
  HtmlNode* add(const GumboNode& from, HtmlNode* parent, HtmlNode*& last) {
    if (nodes.size() == kMaxHtmlNodes) {
      cut = true;
      return nullptr;
    }
    HtmlNode& node = nodes.emplace_back();
    node.parent = parent;
    node.before = last;
    if (last) {
      last->next = &node;
    } else if (parent) {
      parent->first_child = &node;
    }
    last = &node;
    if (from.type != GUMBO_NODE_ELEMENT && from.type != GUMBO_NODE_TEMPLATE) {
      node.text = texts.restored(from.v.text.text, pool);
      return &node;
    }
    node.name = name_of(from.v.element);
    if (node.name.empty()) node.name = "?";
    node.attributes = attributes_of(from.v.element);
    elements.push_back(&node);
    return &node;
  }

  static bool is_kept(const GumboNode& node) {
    return node.type == GUMBO_NODE_ELEMENT || node.type == GUMBO_NODE_TEMPLATE || node.type == GUMBO_NODE_TEXT ||
           node.type == GUMBO_NODE_WHITESPACE || node.type == GUMBO_NODE_CDATA;
  }

  // Of gumbo's tree, in document order.
  void copy(const GumboNode& root) {
    struct At {
      const GumboNode* from;
      HtmlNode* to;
      unsigned next = 0;
      HtmlNode* last = nullptr;  // of its children
    };
    HtmlNode* none = nullptr;
    std::vector<At> path{{&root, add(root, nullptr, none)}};
    while (!path.empty() && !(cut && nodes.size() == kMaxHtmlNodes)) {
      At& at = path.back();
      if (at.next == at.from->v.element.children.length) {
        path.pop_back();
        continue;
      }
      const auto* child = static_cast<const GumboNode*>(at.from->v.element.children.data[at.next++]);
      if (!is_kept(*child)) continue;
      if (path.size() >= kMaxHtmlDepth) {
        cut = true;
        continue;
      }
      HtmlNode* const made = add(*child, at.to, at.last);
      if (made && made->is_element()) path.push_back({child, made});
    }
  }
};

const std::string_view* HtmlNode::attribute(std::string_view wanted) const {
  for (const auto& [known, value] : attributes) {
    if (known == wanted) return &value;
  }
  return nullptr;
}

Result<HtmlPage> HtmlPage::parse(std::string_view html, const std::function<bool()>& enough, bool texts_aside) {
  if (html.size() > kMaxHtml) return fail(Code::kTooLarge, "a page of more than 8 MiB is not taken apart");
  auto memory = std::make_shared<Memory>(html, texts_aside);
  memory->gumbo.enough = &enough;
  int ending = 0;
  const std::string_view read = memory->texts.shortened();
  const GumboOutput* const output = run_gumbo(memory->gumbo, read.data(), read.size(), ending);
  GumboMemory::running = nullptr;
  memory->gumbo.enough = nullptr;
  if (ending == GumboMemory::kBroken) return fail(Code::kInvalid, "the page makes gumbo, which takes it apart, fail");
  if (ending == GumboMemory::kTime) return fail(Code::kTimeout, "the page takes too long to be taken apart");
  if (!output) return fail(Code::kTooLarge, "the page needs more than 512 MiB to be taken apart");
  memory->copy(*output->root);
  HtmlPage page;
  page.memory_ = std::move(memory);
  return page;
}

const HtmlNode& HtmlPage::root() const { return memory_->nodes.front(); }
const std::vector<const HtmlNode*>& HtmlPage::elements() const { return memory_->elements; }
bool HtmlPage::is_cut() const { return memory_->cut; }

const HtmlNode* next_inside(const HtmlNode& top, const HtmlNode& node) {
  if (node.first_child) return node.first_child;
  const HtmlNode* at = &node;
  while (at != &top && !at->next) at = at->parent;
  return at == &top ? nullptr : at->next;
}

std::string text_of(const HtmlNode& node) {
  std::string out;
  walk(
      node,
      [&](const HtmlNode& one) {
        if (!one.is_element()) out += one.text;
        return true;
      },
      [](const HtmlNode&) {});
  constexpr std::string_view kBlank = " \t\n\r\f";
  const std::size_t begin = out.find_first_not_of(kBlank);
  if (begin == std::string::npos) return "";
  return out.substr(begin, out.find_last_not_of(kBlank) + 1 - begin);
}

std::string outer_html(const HtmlNode& node, std::size_t most) {
  std::string out;
  walk(
      node,
      [&](const HtmlNode& one) {
        if (!one.is_element()) {
          const bool raw = one.parent && is_raw(one.parent->name);
          raw ? void(out += one.text) : append_escaped(out, one.text, false);
          return out.size() < most;
        }
        out += "<" + std::string(one.name);
        for (const auto& [name, value] : one.attributes) {
          out += " " + std::string(name) + "=\"";
          append_escaped(out, value, true);
          out += '"';
        }
        out += '>';
        return out.size() < most;
      },
      [&](const HtmlNode& one) {
        if (one.is_element() && !is_void(one.name)) out += "</" + std::string(one.name) + ">";
      });
  if (out.size() > most) out.resize(most);
  return out;
}

}  // namespace sluice::analysis
