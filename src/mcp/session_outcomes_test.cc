#include <limits>

#include "mcp/server_session.h"
#include "mcp/session_fixture.h"

namespace sluice::mcp {
namespace {

using namespace testing;

class Outcome : public SessionTest {};

constexpr std::string_view kToolList = R"({"tools":[{"name":"t","title":"T","inputSchema":{"type":"object"},
  "outputSchema":{"type":"object"},"icons":[],"annotations":{"title":"T"},"_meta":{}}],"ttlMs":5,"resultType":"complete"})";
constexpr std::string_view kCallResult =
    R"({"content":[{"type":"text","text":"x"},{"type":"resource_link","uri":"a:b","name":"n"}],"structuredContent":{"a":1}})";

TEST_F(Outcome, IsWrittenForTheRevisionOfTheClient) {
  const std::tuple<const char*, const char*, const char*> table[] = {
      {"2025-03-26", R"({"tools":[{"name":"t","inputSchema":{"type":"object"},"annotations":{"title":"T"}}]})",
       R"({"content":[{"type":"text","text":"x"},{"type":"text","text":"a:b"}]})"},
      {"2025-06-18",
       R"({"tools":[{"name":"t","title":"T","inputSchema":{"type":"object"},"outputSchema":{"type":"object"},"annotations":{"title":"T"},"_meta":{}}]})",
       kCallResult.data()},
      {"2025-11-25",
       R"({"tools":[{"name":"t","title":"T","inputSchema":{"type":"object"},"outputSchema":{"type":"object"},"icons":[],"annotations":{"title":"T"},"_meta":{}}]})",
       kCallResult.data()},
  };
  for (const auto& [version, tools, call] : table) {
    ServerSession session(profile_, Scope::kStdio);
    session.feed(initialize(version));
    const auto list = session.feed(legacy("1", "tools/list")).operation;
    EXPECT_EQ(parsed(session.complete(list->key, parsed(kToolList))->text)["result"], parsed(tools)) << version;
    const auto run = session.feed(legacy("2", "tools/call", R"({"name":"t"})")).operation;
    EXPECT_EQ(parsed(session.complete(run->key, parsed(kCallResult))->text)["result"], parsed(call)) << version;
  }
}

TEST_F(Outcome, HasInTheModernEraATypeANameAndCachingHints) {
  const Json list = completed(operation(modern("1", "tools/list")).key, parsed(kToolList))["result"];
  EXPECT_EQ(list["ttlMs"], 5);  // as the caller said
  EXPECT_EQ(list["cacheScope"], "private");
  EXPECT_EQ(list["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "sluice");
  EXPECT_TRUE(list["tools"][0].contains("outputSchema"));

  const Json call = completed(operation(modern("2", "tools/call", R"("name":"t")")).key, parsed(kCallResult))["result"];
  EXPECT_EQ(call["resultType"], "complete");
  EXPECT_FALSE(call.contains("ttlMs"));
  EXPECT_EQ(call["structuredContent"]["a"], 1);

  const Json read =
      completed(operation(modern("3", "resources/read", R"("uri":"a:b")")).key, parsed(R"({"contents":[]})"))["result"];
  EXPECT_EQ(read["ttlMs"], 0);
  const Json more = completed(operation(modern("4", "resources/read", R"("uri":"a:b")")).key,
                              parsed(R"({"resultType":"input_required","requestState":"s"})"))["result"];
  EXPECT_FALSE(more.contains("ttlMs"));
}

TEST_F(Outcome, OfAnotherEraOrShapeIsAnErrorNotALie) {
  initialize_with("2025-11-25");
  EXPECT_EQ(completed(operation(legacy("1", "tools/call", R"({"name":"t"})")).key,
                      parsed(R"({"resultType":"input_required"})"))["error"]["code"],
            rpc::kInternalError);
  EXPECT_EQ(completed(operation(legacy("2", "tools/call", R"({"name":"t"})")).key,
                      parsed(R"({"resultType":7})"))["error"]["code"],
            rpc::kInternalError);
  EXPECT_EQ(completed(operation(legacy("3", "tools/list")).key, Json(7))["error"]["code"], rpc::kInternalError);
  EXPECT_EQ(completed(operation(legacy("4", "tools/list")).key, parsed("{}"))["error"]["code"], rpc::kInternalError);
}

TEST_F(Outcome, TellsAMissingResourceByTheCodeOfItsEra) {
  initialize_with("2025-11-25");
  const Result<Json> missing = fail(Code::kNotFound, "no such resource");
  EXPECT_EQ(completed(operation(legacy("1", "resources/read", R"({"uri":"a:b"})")).key, missing)["error"]["code"],
            rpc::kResourceNotFound);
  const auto answer = session_.complete(operation(modern("2", "resources/read", R"("uri":"a:b")")).key, missing);
  EXPECT_EQ(parsed(answer->text)["error"]["code"], rpc::kInvalidParams);
  EXPECT_EQ(answer->http_status, 200);
  const auto closed =
      session_.complete(operation(modern("3", "resources/list")).key, method_not_found("resources/list"));
  EXPECT_EQ(closed->http_status, 404);
}

TEST_F(Outcome, ComesOnceOnly) {
  const Operation op = operation(modern("1", "tools/list"));
  EXPECT_TRUE(session_.complete(op.key, parsed(R"({"tools":[]})")));
  EXPECT_FALSE(session_.complete(op.key, parsed(R"({"tools":[]})")));
  EXPECT_FALSE(session_.complete(OperationKey{99}, Json::object()));
  EXPECT_FALSE(session_.cancel(op.key));
}

TEST(Pages, CoverTheListOnceWhateverTheirSize) {
  for (std::size_t size = 0; size <= 6; ++size) {
    ServerProfile profile = make_profile();
    profile.page_size = size;
    ServerSession session(profile, Scope::kStdio);
    std::string names;
    std::string cursor;
    int pages = 0;
    do {
      const std::string members = cursor.empty() ? "" : "\"cursor\":\"" + cursor + "\"";
      const auto op = session.feed(modern("1", "tools/list", members)).operation;
      ASSERT_TRUE(op);
      const Json result =
          parsed(session.complete(op->key, parsed(R"({"tools":["a","b","c","d","e"]})"))->text)["result"];
      for (const Json& name : result["tools"]) names += name.get<std::string>();
      cursor = result.contains("nextCursor") ? result["nextCursor"].get<std::string>() : "";
      ASSERT_LE(++pages, 5);
    } while (!cursor.empty());
    EXPECT_EQ(names, "abcde") << size;
  }
}

TEST(Pages, RefuseCursorsOfOtherListsGrantsAndLongerDays) {
  ServerProfile profile = make_profile();
  profile.page_size = 2;
  ServerSession session(profile, Scope::kStdio);
  const auto first = session.feed(modern("1", "tools/list")).operation;
  const Json page = parsed(session.complete(first->key, parsed(R"({"tools":[1,2,3]})"))->text)["result"];
  const std::string member = "\"cursor\":" + dump_json(page["nextCursor"]);
  EXPECT_TRUE(session.feed(modern("2", "resources/list", member)).answer);
  ServerProfile stranger = profile;
  stranger.grant = "other";
  ServerSession theirs(stranger, Scope::kStdio);
  EXPECT_EQ(parsed(theirs.feed(modern("3", "tools/list", member)).answer->text)["error"]["code"], rpc::kInvalidParams);
  // The list became shorter than the cursor's place.
  const auto later = session.feed(modern("4", "tools/list", member)).operation;
  EXPECT_EQ(parsed(session.complete(later->key, parsed(R"({"tools":[1]})"))->text)["error"]["code"],
            rpc::kInvalidParams);
}

std::string cancelled(std::string_view id) {
  return R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":)" + std::string(id) + "}}";
}

TEST_F(Outcome, OfACancelledOperationIsNeverSent) {
  initialize_with("2025-11-25");
  for (const bool in_modern : {false, true}) {
    const Operation op = operation(in_modern ? modern("1", "tools/call", R"("name":"t")")
                                             : legacy("1", "tools/call", R"({"name":"t"})"));
    const Step step = session_.feed(cancelled("1"));
    ASSERT_EQ(step.cancelled.size(), 1u);
    EXPECT_EQ(step.cancelled[0], op.key);
    EXPECT_FALSE(step.answer);
    EXPECT_FALSE(session_.progress(op.key, 1));
    EXPECT_FALSE(session_.complete(op.key, Json::object()));
    EXPECT_EQ(session_.in_flight(), 0u);
  }
}

TEST_F(Outcome, IsNotTouchedByCancellationsOfAnythingElse) {
  initialize_with("2025-11-25");
  const Operation op = operation(legacy("1", "tools/call", R"({"name":"t"})"));
  for (const char* id : {"0", "2", "\"1\"", "null", "1.0", "[1]", "{}"}) {
    EXPECT_TRUE(session_.feed(cancelled(id)).cancelled.empty()) << id;
  }
  EXPECT_TRUE(session_.feed(R"({"jsonrpc":"2.0","method":"notifications/cancelled"})").cancelled.empty());
  EXPECT_TRUE(session_.complete(op.key, parsed(kCallResult)));
  EXPECT_TRUE(session_.feed(cancelled("1")).cancelled.empty());
}

TEST(Cancellation, OnModernHttpIsTheEndOfTheStream) {
  const ServerProfile profile = make_profile();
  ServerSession session(profile, Scope::kModernHttp);
  const auto op = session.feed(modern("1", "tools/call", R"("name":"t")")).operation;
  EXPECT_TRUE(session.feed(cancelled("1")).cancelled.empty());
  EXPECT_TRUE(session.cancel(op->key));
  EXPECT_FALSE(session.complete(op->key, Json::object()));
}

TEST_F(Outcome, StopsEverythingWhenTheConnectionEnds) {
  const Operation one = operation(modern("1", "tools/list"));
  const Operation two = operation(modern("2", "tools/list"));
  EXPECT_EQ(session_.close(), (std::vector<OperationKey>{one.key, two.key}));
  EXPECT_FALSE(session_.complete(one.key, Json::object()));
  EXPECT_TRUE(session_.close().empty());
}

TEST_F(Outcome, IsPrecededByProgressThatOnlyIncreases) {
  initialize_with("2025-11-25");
  const Operation op = operation(legacy("1", "tools/call", R"({"name":"t","_meta":{"progressToken":7}})"));
  EXPECT_EQ(
      *session_.progress(op.key, 0.5, 2, "half"),
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":0.5,"total":2,"message":"half"}})");
  EXPECT_FALSE(session_.progress(op.key, 0.5));
  EXPECT_FALSE(session_.progress(op.key, 0.25));
  EXPECT_FALSE(session_.progress(op.key, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(session_.progress(op.key, std::numeric_limits<double>::infinity()));
  EXPECT_EQ(parsed(*session_.progress(op.key, 1))["params"]["progress"], 1);
  session_.complete(op.key, parsed(kCallResult));
  EXPECT_FALSE(session_.progress(op.key, 2));
  const Operation silent = operation(legacy("2", "tools/call", R"({"name":"t"})"));
  EXPECT_FALSE(session_.progress(silent.key, 1));
}

}  // namespace
}  // namespace sluice::mcp
