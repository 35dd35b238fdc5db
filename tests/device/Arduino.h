// Stands in for the Arduino core where the sketch of docs/devices.md is run on a PC (tests/device.sh): as much of it as
// the sketch uses, with the same signatures.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

class String {
 public:
  String(const char *text = "") : text(text) {}
  explicit String(unsigned long long number) : text(std::to_string(number)) {}
  explicit String(unsigned long number) : text(std::to_string(number)) {}
  String &operator+=(const String &more) { text += more.text; return *this; }
  String &operator+=(const char *more) { text += more; return *this; }
  friend String operator+(const String &left, const String &right) { return String((left.text + right.text).c_str()); }
  unsigned int length() const { return text.size(); }
  const char *c_str() const { return text.c_str(); }
  int indexOf(const String &part) const {
    auto found = text.find(part.text);
    return found == std::string::npos ? -1 : (int)found;
  }

 private:
  std::string text;
};

enum { LOW, HIGH, INPUT_PULLUP };
void pinMode(uint8_t pin, uint8_t mode);
int digitalRead(uint8_t pin);
void delay(uint32_t milliseconds);
