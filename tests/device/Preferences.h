#pragma once
#include "Arduino.h"

// Flash that is a file.
class Preferences {
 public:
  bool begin(const char *name);
  uint64_t getULong64(const char *key, uint64_t otherwise);
  size_t putULong64(const char *key, uint64_t value);

 private:
  std::string folder;
};
