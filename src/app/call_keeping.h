// --record-calls: where calls are kept whole, with which key, and who may not see them (gate.md 8).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/home.h"
#include "gateway/call_recorder.h"

namespace sluice::app {

// Null without --record-calls. kRefused: the folder lies where tools read, or others can look into it.
Result<std::unique_ptr<gateway::CallRecorder>> open_call_recorder(const EngineConfig& config, const Home& home,
                                                                  FileSystem& files, const Clock& clock,
                                                                  Entropy& entropy);

// The key of --calls-key FILE, or that of the home.
Result<Secret> load_calls_key(const std::string& file, const Home& home);

}  // namespace sluice::app
