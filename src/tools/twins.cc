#include "tools/twins.h"

namespace sluice::tools {

std::span<const Twins> twins() {
  static constexpr Twins kTwins[] = {{"start_proxy", "proxy_start"},
                                     {"stop_proxy", "proxy_stop"},
                                     {"get_traffic_summary", "proxy_list_traffic"},
                                     {"inspect_flow", "proxy_get_exchange"},
                                     {"inspect_flows", "proxy_get_exchange"},
                                     {"search_traffic", "proxy_search_traffic"},
                                     {"clear_traffic", "proxy_clear_traffic"},
                                     {"add_interception_rule", "proxy_add_rule"},
                                     {"set_global_header", "proxy_inject_headers"},
                                     {"set_scope", "proxy_set_host_options"},
                                     {"clear_rules", "proxy_remove_rule"},
                                     {"list_rules", "proxy_list_rules"}};
  return kTwins;
}

}  // namespace sluice::tools
