"""Tests that run.py --seams leaves out, and why: it is never what Sluice does."""
PORT = "asks about the proxy's own port, which is a seam's then"
CLOSED = "a port at which nobody listens any more; a seam would take the connection first"
SPACE = "in a namespace of its own, to which no seam leads"
SLICES = "its own peer counts on what one read gives"
RESET = "a reset overtakes what is still on its way through a seam"
TIME = "measures time"

TESTS = {
    "test_cases.Ends.test_a_short_body_is_a_reset_for_the_client": RESET,
    "test_cases.ServerSpeaksFirst.test_it_is_heard_after_300_ms_of_silence_and_no_sooner": SLICES,
    "test_cases.WhatMayBeDialled.test_sluice_is_not_reached_through_a_tunnel_either": PORT,
    "test_cases_http2.Ends.test_a_short_body_of_an_h2_origin_cuts_an_h1_client": RESET,
    "test_cases_http2.PooledConnection.test_where_the_dial_fails_all_streams_are_told_so": CLOSED,
    "test_cli.Lifecycle.test_a_killed_serves_leftovers_are_cleared": PORT,
    "test_cli.OneHome.test_two_serves_and_eight_mcps_at_once_on_a_fresh_home_have_one_ca": PORT,
    "test_entry.Raw.test_a_server_that_speaks_first_is_heard": SLICES,
    "test_entry.Raw.test_octets_that_are_nothing_known_are_relayed_and_both_directions_shown": SLICES,
    "test_grpc.Calls.test_a_deadline_reaches_the_server_and_ends_the_call": TIME,
    "test_mcp.Adoption.test_start_under_serve_adopts_the_listener_once_for_each_caller": PORT,
    "test_mcp.Stdio.test_attach_is_a_bridge_to_the_running_serve": PORT,
    "test_mcp.Stdio.test_the_first_answer_comes_within_50_ms_of_start": TIME,
    "test_nghttp2_tools.BareTls.test_nghttp_and_h2load_without_any_proxy_of_theirs": SPACE,
    "test_refusals.Refusals.test_an_upstream_proxy_stays_if_another_is_refused": PORT,
    "test_tls.Handshakes.test_a_hello_may_come_with_the_connect": SLICES,
    "test_tls.Handshakes.test_a_server_that_speaks_first_is_relayed_raw": SLICES,
    "test_tls.Upstream.test_sluice_never_dials_itself": PORT,
    "test_tls_breadth.Tickets.test_dials_resume_also_after_the_pool_let_go": PORT,
    "test_transparent.RemoteClientsWithAPassword.test_they_come_in_with_it_and_not_without": SPACE,
    "test_transparent.Transparent.test_traffic_can_be_listed_by_source": SPACE,
    "test_upstream_pac.Scripts.test_the_choice_of_our_own_port_is_a_loop": PORT,
    "test_upstream_rules.Table.test_our_own_ports_are_not_reached_through_a_proxy_either": PORT,
    "test_upstreams.Failures.test_our_own_ports_are_refused_as_upstream": PORT,
}
