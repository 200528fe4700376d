#include "http/message.h"

namespace sluice::http {

std::string_view to_string(Version version) {
  switch (version) {
    case Version::kHttp10:
      return "HTTP/1.0";
    case Version::kHttp11:
      return "HTTP/1.1";
    case Version::kHttp2:
      return "HTTP/2";
  }
  return "HTTP/1.1";
}

std::string_view to_string(Anomaly anomaly) {
  switch (anomaly) {
    case Anomaly::kBareLf:
      return "bare_lf";
    case Anomaly::kLeadingEmptyLine:
      return "leading_empty_line";
    case Anomaly::kObsFold:
      return "obs_fold";
    case Anomaly::kOddStartLine:
      return "odd_start_line";
    case Anomaly::kOddFieldOctets:
      return "odd_field_octets";
    case Anomaly::kRepeatedLength:
      return "repeated_length";
    case Anomaly::kTruncatedTls:
      return "truncated_tls";
    case Anomaly::kTruncatedBody:
      return "truncated_body";
    case Anomaly::kAuthorityMismatch:
      return "authority_mismatch";
    case Anomaly::kRuleBodyLimit:
      return "rule_body_limit";
    case Anomaly::kCaptureCut:
      return "capture_cut";
    case Anomaly::kExtraBytes:
      return "extra_bytes";
    case Anomaly::kConnectionField:
      return "connection_field";
    case Anomaly::kBlankBeforeColon:
      return "blank_before_colon";
    case Anomaly::kOddChunkLine:
      return "odd_chunk_line";
    case Anomaly::kWebSocketError:
      return "websocket_error";
    case Anomaly::kWebSocketOdd:
      return "websocket_odd";
    case Anomaly::kWebSocketText:
      return "websocket_text";
    case Anomaly::kHoldLimit:
      return "hold_limit";
  }
  return "unknown";
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 102:
      return "Processing";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 208:
      return "Already Reported";
    case 226:
      return "IM Used";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 305:
      return "Use Proxy";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 424:
      return "Failed Dependency";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 506:
      return "Variant Also Negotiates";
    case 507:
      return "Insufficient Storage";
    case 508:
      return "Loop Detected";
    case 511:
      return "Network Authentication Required";
    default:
      return "";
  }
}

ResponseHead make_response(int status, FieldInit fields) {
  ResponseHead head;
  head.status = status;
  head.reason = reason_phrase(status);
  for (const auto& [name, value] : fields) head.fields.append(name, value);
  return head;
}

RequestHead make_request(std::string_view method, std::string_view target, FieldInit fields) {
  RequestHead head;
  head.method = method;
  head.target = target;
  for (const auto& [name, value] : fields) head.fields.append(name, value);
  return head;
}

}  // namespace sluice::http
