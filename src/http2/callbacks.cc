// The way from nghttp2 back into the session. No exception passes through C: it is kept and thrown again behind it.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "base/allocate.h"
#include "http2/session_impl.h"

namespace sluice::http2 {
namespace {

constexpr std::size_t kMaxAcks = 1'000;     // waiting to be written
constexpr std::uint64_t kResetBurst = 500;  // a page that goes away cancels some 100 streams
constexpr std::uint64_t kResetsPerSecond = 50;

std::string_view text_of(const std::uint8_t* octets, std::size_t size) {
  return {reinterpret_cast<const char*>(octets), size};
}

// nghttp2 makes three blocks for each field that it reads or writes.
nghttp2_mem memory() {
  nghttp2_mem functions{};
  functions.malloc = [](std::size_t size, void*) { return allocate(size); };
  functions.free = [](void* block, void*) { release(block); };
  functions.calloc = [](std::size_t count, std::size_t size, void*) {
    void* const block = size == 0 || count <= SIZE_MAX / size ? allocate(count * size) : nullptr;
    if (block) std::memset(block, 0, count * size);
    return block;
  };
  functions.realloc = [](void* block, std::size_t size, void*) { return std::realloc(block, size); };
  return functions;
}

}  // namespace

struct Session::Impl::Callbacks {
  // What `handle` returns, or the error with which nghttp2 returns at once.
  template <class Handle>
  static auto guarded(void* user, Handle handle) -> decltype(handle(std::declval<Impl&>())) {
    Impl& self = *static_cast<Impl*>(user);
    try {
      return handle(self);
    } catch (...) {
      self.thrown_ = std::current_exception();
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return guarded(user, [&](Impl& self) { return self.on_begin_headers(*frame); });
  }
  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                    const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    return guarded(user, [&](Impl& self) {
      self.on_header(*frame, text_of(name, name_size), text_of(value, value_size));
      return 0;
    });
  }
  static int invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
    return guarded(user, [&](Impl& self) {
      self.on_invalid_frame(*frame, error);
      return 0;
    });
  }
  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return guarded(user, [&](Impl& self) {
      self.on_frame(*frame);
      return 0;
    });
  }
  static int data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* content, std::size_t size,
                  void* user) {
    return guarded(user, [&](Impl& self) {
      self.on_data(id, text_of(content, size));
      return 0;
    });
  }
  static int closed(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
    return guarded(user, [&](Impl& self) {
      self.on_closed(id, code);
      return 0;
    });
  }
  static int before_send(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return guarded(user, [&](Impl& self) {
      self.on_before_send(*frame);
      return 0;
    });
  }
  static int not_sent(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
    return guarded(user, [&](Impl& self) {
      self.on_not_sent(*frame, error);
      return 0;
    });
  }
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* header, std::size_t,
                       nghttp2_data_source*, void* user) {
    return guarded(user, [&](Impl& self) { return self.on_send_data(*frame, header); });
  }
  static ssize_t pull(nghttp2_session*, std::int32_t id, std::uint8_t*, std::size_t room, std::uint32_t* flags,
                      nghttp2_data_source*, void* user) {
    return guarded(user, [&](Impl& self) { return self.on_pull(id, room, flags); });
  }
};

nghttp2_data_provider Session::Impl::body_provider() {
  nghttp2_data_provider provider{};
  provider.read_callback = Callbacks::pull;
  return provider;
}

void Session::Impl::rethrow() {
  if (!thrown_) return;
  break_off();
  std::rethrow_exception(std::exchange(thrown_, nullptr));
}

void Session::Impl::create_session() {
  nghttp2_session_callbacks* callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
  const std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)> callbacks_owner(
      callbacks, nghttp2_session_callbacks_del);
  nghttp2_option* settings = nullptr;
  if (nghttp2_option_new(&settings) != 0) throw std::bad_alloc();
  const std::unique_ptr<nghttp2_option, decltype(&nghttp2_option_del)> settings_owner(settings, nghttp2_option_del);

  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::frame);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, Callbacks::invalid_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::closed);
  nghttp2_session_callbacks_set_before_frame_send_callback(callbacks, Callbacks::before_send);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, Callbacks::not_sent);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, Callbacks::send_data);

  nghttp2_option_set_no_auto_window_update(settings, 1);
  nghttp2_option_set_no_http_messaging(settings, 1);  // head_in.h judges
  nghttp2_option_set_no_closed_streams(settings, 1);
  nghttp2_option_set_max_reserved_remote_streams(settings, 0);  // pushes are refused
  nghttp2_option_set_max_outbound_ack(settings, kMaxAcks);
  nghttp2_option_set_max_send_header_block_length(settings, kMaxHeadOutEstimate);
  nghttp2_option_set_stream_reset_rate_limit(settings, kResetBurst, kResetsPerSecond);
  nghttp2_option_set_max_continuations(settings, floods_.max_continuations());
  nghttp2_mem functions = memory();  // copied by the session
  const int error = role_ == Role::kServer
                        ? nghttp2_session_server_new3(&session_, callbacks, this, settings, &functions)
                        : nghttp2_session_client_new3(&session_, callbacks, this, settings, &functions);
  if (error != 0) throw std::bad_alloc();
}

}  // namespace sluice::http2
