#pragma once
#include "Arduino.h"

enum wl_status_t { WL_IDLE_STATUS, WL_CONNECTED = 3 };

struct WiFiClass {
  wl_status_t begin(const char *, const char *) { return WL_CONNECTED; }
  wl_status_t status() { return WL_CONNECTED; }
};
extern WiFiClass WiFi;
