// SPDX-License-Identifier: GPL-2.0-or-later
// Objects of C++ in containers. Prints what they come to, by mallinfo2 when they went, once a line came.
#include <cstdio>
#include <map>
#include <malloc.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace shop
{
struct Base {
	virtual ~Base() {}
};
template <class T> struct Order : Base {
	std::string name = std::string(100, 'x');
	std::vector<T> items;
	std::shared_ptr<Base> next;
};
struct Customer : Base {
	std::vector<char> data = std::vector<char>(5000);
};
} // namespace shop

static std::map<int, std::unique_ptr<shop::Base>> orders;
static std::vector<std::shared_ptr<shop::Customer>> customers;

static size_t in_use()
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

int main()
{
	setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 0; i < 4001; i++) {
		auto order = std::make_unique<shop::Order<int>>();

		order->items.resize(100);
		orders[i] = std::move(order);
	}
	for (int i = 0; i < 307; i++)
		customers.push_back(std::make_shared<shop::Customer>());
	printf("ready %d\n", getpid());
	getchar();
	size_t before = in_use();
	orders.clear();
	printf("orders %zu\n", before - in_use());
	before = in_use();
	customers.clear();
	customers.shrink_to_fit();
	printf("customers %zu\n", before - in_use());
	printf("done\n");
	getchar();
}
