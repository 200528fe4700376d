// The small parts of reading a HAR entry. Private to this folder. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "flow/loaded.h"

namespace sluice::analysis {

std::optional<std::string> har_text(const Json& object, std::string_view member);  // nullopt: it is no string
// "HTTP/1.1" of what programs call versions: "http/2.0", "h2", "", …
std::string har_version_of(std::string_view said);
std::string without_controls(std::string_view text);  // blanks in their place: it shall stay one line
std::string form_encode(std::string_view text);       // application/x-www-form-urlencoded
// Lines of [{name, value}] without HTTP/2's pseudo-fields, of which :authority becomes Host where there is none. False:
// some were no fields.
bool add_har_fields(std::string& head, const Json* headers);
// The other way round of har_timings().
flow::Timings read_har_timings(const Json& entry, bool answered);
std::optional<flow::LoadedMessage> read_har_message(const Json& message);
// serverIPAddress, connection, and the members that Sluice adds.
void read_har_extras(const Json& entry, flow::Loaded& loaded);

}  // namespace sluice::analysis
