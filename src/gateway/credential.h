// Credentials that Sluice makes: shown once, kept as their SHA-256. They hold 256 random bits, so a fast hash tells
// nothing of them. Pure; thread-safe. gate.md 1, 2.
#pragma once

#include <string>
#include <string_view>

#include "base/entropy.h"

namespace sluice::gateway {

inline constexpr std::string_view kGrantPrefix = "sluice_grant_";
inline constexpr std::string_view kAdminPrefix = "sluice_admin_";

// The prefix and 43 characters: what leaks can be found by its prefix.
std::string make_credential(std::string_view prefix, Entropy& entropy);
// 64 hexadecimal digits.
std::string credential_hash(std::string_view credential);
// In constant time; false where either is empty.
bool same_hash(std::string_view a, std::string_view b);

}  // namespace sluice::gateway
