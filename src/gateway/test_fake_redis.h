// A Redis for tests that misbehaves as it is told: what counters need of it (redis_store.h), on a port of its own and a
// thread for each connection.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gateway/redis_link.h"

namespace sluice::gateway {

class FakeRedis {
 public:
  enum class Way {
    kWell,
    kNever,      // takes what is sent and says nothing
    kInOctets,   // one at a time
    kHalf,       // half of an answer, and the connection ends
    kLate,       // the answer of a command that counts comes after late_by()
    kUnwilling,  // closes what connects
  };

  FakeRedis() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~FakeRedis() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    }
    for (std::thread& one : threads_) one.join();
    for (const int socket : sockets_) ::close(socket);
    ::close(listener_);
  }
  FakeRedis(const FakeRedis&) = delete;
  FakeRedis& operator=(const FakeRedis&) = delete;

  void behave(Way way) { way_ = way; }
  void late_by(std::chrono::milliseconds time) { late_ = time; }
  int connections() const { return connections_; }
  int asked() const { return asked_; }  // commands, whoever was answered
  // What the counter holds whose key has this in it.
  std::string value(std::string_view part) {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, value] : values_) {
      if (key.find(part) != std::string::npos) return value;
    }
    return "";
  }
  RedisLink::Options options(std::chrono::milliseconds patience) const {
    RedisLink::Options out;
    out.address = *parse_redis_address("redis://127.0.0.1:" + std::to_string(port_));
    out.patience = patience;
    return out;
  }

 private:
  void accept_all() {
    while (!ending_) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) continue;
      ++connections_;
      const std::lock_guard lock(mutex_);
      sockets_.push_back(socket);
      threads_.emplace_back([this, socket] { serve(socket); });
    }
  }

  void serve(int socket) {
    if (way_ == Way::kUnwilling) {
      ::shutdown(socket, SHUT_RDWR);
      return;
    }
    std::string in;
    while (true) {
      std::vector<std::string> words;
      while (!take_command(in, words)) {
        char buffer[4'096];
        const ssize_t got = ::read(socket, buffer, sizeof buffer);
        if (got <= 0) return;
        in.append(buffer, static_cast<std::size_t>(got));
      }
      ++asked_;
      const std::string said = answer(words);
      if (!say(socket, said, words.front())) return;
    }
  }

  // Of RESP's arrays of bulk strings.
  static bool take_command(std::string& in, std::vector<std::string>& words) {
    std::size_t at = 0;
    const auto number = [&](char kind, std::size_t& out) {
      const std::size_t end = in.find("\r\n", at);
      if (end == std::string::npos || in[at] != kind) return false;
      out = std::stoul(in.substr(at + 1, end - at - 1));
      at = end + 2;
      return true;
    };
    std::size_t count = 0, size = 0;
    if (!number('*', count)) return false;
    words.clear();
    for (std::size_t i = 0; i < count; ++i) {
      if (!number('$', size) || in.size() < at + size + 2) return false;
      words.push_back(in.substr(at, size));
      at += size + 2;
    }
    in.erase(0, at);
    return true;
  }

  static std::string bulk(const std::string& text) {
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }

  std::string answer(const std::vector<std::string>& words) {
    const std::lock_guard lock(mutex_);
    const std::string& name = words.front();
    if (name == "INFO") return bulk("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n");
    if (name == "SET") values_.emplace(words[1], words[2]);  // NX
    if (name == "GET") return values_.contains(words[1]) ? bulk(values_[words[1]]) : "$-1\r\n";
    if (name == "MGET") {
      std::string all = "*" + std::to_string(words.size() - 1) + "\r\n";
      for (std::size_t i = 1; i < words.size(); ++i) {
        all += values_.contains(words[i]) ? bulk(values_[words[i]]) : "$-1\r\n";
      }
      return all;
    }
    if (name == "EVAL") {  // of redis_store.cc: all or none
      const std::size_t keys = std::stoul(words[2]);
      const auto key = [&](std::size_t i) { return words[3 + i]; };
      const auto argument = [&](std::size_t i) { return words[3 + keys + i]; };
      for (std::size_t i = 1; i < keys; ++i) {
        const auto found = values_.find(key(i));
        if ((found == values_.end() ? "" : found->second) != argument(3 * i - 2)) return ":0\r\n";
      }
      for (std::size_t i = 1; i < keys; ++i) values_[key(i)] = argument(3 * i - 1);
      return ":1\r\n";
    }
    return "+OK\r\n";
  }

  bool say(int socket, const std::string& text, const std::string& command) {
    const auto write = [&](std::string_view some) {
      return ::send(socket, some.data(), some.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(some.size());
    };
    const bool counts = command == "MGET" || command == "EVAL";
    switch (way_) {
      case Way::kNever:
        return true;
      case Way::kInOctets:
        for (const char c : text) {
          if (!write(std::string_view(&c, 1))) return false;
          std::this_thread::sleep_for(std::chrono::microseconds(200));  // so that each is a packet
        }
        return true;
      case Way::kHalf:
        write(std::string_view(text).substr(0, text.size() / 2));
        ::shutdown(socket, SHUT_RDWR);
        return false;
      case Way::kLate:
        if (counts) std::this_thread::sleep_for(late_.load());  // it is the time that is tested
        return write(text);
      case Way::kWell:
      case Way::kUnwilling:
        return write(text);
    }
    return false;
  }

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::atomic<Way> way_{Way::kWell};
  std::atomic<std::chrono::milliseconds> late_{std::chrono::milliseconds(0)};
  std::atomic<int> connections_{0}, asked_{0};
  std::mutex mutex_;
  std::map<std::string, std::string> values_;
  std::vector<int> sockets_;
  std::thread acceptor_;
  std::vector<std::thread> threads_;
};

}  // namespace sluice::gateway
