// SPDX-License-Identifier: GPL-2.0-or-later
#include <pthread.h>
#include <signal.h>

#include "watch/signals.h"

static const int caught_signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { COUNT = sizeof(caught_signals) / sizeof(caught_signals[0]) };

static volatile sig_atomic_t caught, second_one_ends, look;

static void on_look(int sig)
{
	(void)sig;
	look = 1;
}

static void on_signal(int sig)
{
	if (caught && second_one_ends) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
	caught = sig;
}

/* Without SA_RESTART: a signal also ends a write that the output does not take. */
void mw_signals_catch(bool second_ends)
{
	struct sigaction action = {.sa_handler = on_signal};

	second_one_ends = second_ends;
	for (int i = 0; i < COUNT; i++)
		sigaction(caught_signals[i], &action, NULL);
	action.sa_handler = on_look;
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &action, NULL);
}

bool mw_signals_caught(void)
{
	return caught != 0;
}

bool mw_signals_look(void)
{
	bool was = look != 0;

	look = 0;
	return was;
}

void mw_signals_block(bool block)
{
	sigset_t set;

	sigemptyset(&set);
	for (int i = 0; i < COUNT; i++)
		sigaddset(&set, caught_signals[i]);
	pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}
