#pragma once
#include "Arduino.h"

// Sends what the ESP32's own client sends.
class HTTPClient {
 public:
  bool begin(String url);
  void addHeader(const String &name, const String &value);
  int POST(String body);
  String getString() { return String(answer.c_str()); }

 private:
  std::string host, port, path, headers, answer;
};
