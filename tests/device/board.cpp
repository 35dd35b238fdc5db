// A board on a PC: presses the button once and says how the sketch fared.
//
//   board FLASH [lose]
//
// FLASH is the folder that stands for the flash memory. With `lose`, the network loses the first answer.
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "HTTPClient.h"
#include "Preferences.h"
#include "WiFi.h"

void setup();
void loop();

WiFiClass WiFi;
static std::string flash_folder;
static bool pressed = true, lose_answer = false;
static int requests = 0, last_status = 0;

void pinMode(uint8_t, uint8_t) {}
void delay(uint32_t milliseconds) { usleep(milliseconds * 20); }  // fifty times as fast

int digitalRead(uint8_t) {
  int level = pressed ? LOW : HIGH;
  pressed = false;
  return level;
}

bool Preferences::begin(const char *name) {
  folder = flash_folder + "/" + name + "-";
  return true;
}

uint64_t Preferences::getULong64(const char *key, uint64_t otherwise) {
  std::ifstream file(folder + key);
  uint64_t value;
  return file >> value ? value : otherwise;
}

size_t Preferences::putULong64(const char *key, uint64_t value) {
  std::ofstream(folder + key) << value;
  return sizeof value;
}

bool HTTPClient::begin(String url) {
  std::string text = url.c_str(), rest = text.substr(strlen("http://"));
  auto slash = rest.find('/'), colon = rest.find(':');
  host = rest.substr(0, colon);
  port = rest.substr(colon + 1, slash - colon - 1);
  path = rest.substr(slash);
  return true;
}

void HTTPClient::addHeader(const String &name, const String &value) {
  headers += std::string(name.c_str()) + ": " + value.c_str() + "\r\n";
}

int HTTPClient::POST(String body) {
  requests++;
  addrinfo *found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), nullptr, &found) != 0) return -1;
  int connection = socket(found->ai_family, SOCK_STREAM, 0);
  bool connected = connect(connection, found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (!connected) return close(connection), -1;
  std::string request = "POST " + path + " HTTP/1.1\r\nHost: " + host + ":" + port +
                        "\r\nUser-Agent: ESP32HTTPClient\r\nConnection: close\r\n"
                        "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n" +
                        headers + "Content-Length: " + std::to_string(body.length()) + "\r\n\r\n" + body.c_str();
  if (write(connection, request.data(), request.size()) != (ssize_t)request.size()) return close(connection), -2;
  std::string reply;
  char piece[512];
  for (ssize_t length; (length = read(connection, piece, sizeof piece)) > 0;) reply.append(piece, length);
  close(connection);
  if (lose_answer) return lose_answer = false, -11;  // HTTPC_ERROR_READ_TIMEOUT
  auto end = reply.find("\r\n\r\n");
  if (end == std::string::npos) return -11;
  answer = reply.substr(end + 4);
  return last_status = atoi(reply.c_str() + strlen("HTTP/1.1 "));
}

int main(int count, char **words) {
  flash_folder = count > 1 ? words[1] : ".";
  lose_answer = count > 2 && strcmp(words[2], "lose") == 0;
  setup();
  loop();
  printf("%d after %d requests\n", last_status, requests);
  return last_status == 200 ? 0 : 1;
}
