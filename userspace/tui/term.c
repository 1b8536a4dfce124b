// SPDX-License-Identifier: GPL-2.0-or-later
#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "tui/view.h"

/*
 * For a signal handler, which may call only a few functions: what it writes and sets was prepared
 * before.
 */
static struct {
	struct termios modes;
	bool have_modes;
	char reset[512];
	size_t len;
	struct sigaction before[NSIG];
	void *stack;
} saved;

static const int crashes[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};

static void on_crash(int sig)
{
	if (saved.len && write(STDOUT_FILENO, saved.reset, saved.len) < 0)
		_exit(128 + sig);
	if (saved.have_modes)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved.modes);
	/* The previous handler, or the default action, gets the signal next. */
	sigaction(sig, &saved.before[sig], NULL);
	raise(sig);
}

static bool is_string(const char *text)
{
	return text && text != (char *)-1;
}

/* Delays ("$<2>") are for terminals that no longer exist. */
static void add_reset(const char *text)
{
	size_t len = is_string(text) ? strcspn(text, "$") : 0;

	if (len && saved.len + len < sizeof(saved.reset)) {
		memcpy(saved.reset + saved.len, text, len);
		saved.len += len;
	}
}

static void prepare_for_crashes(void)
{
	struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
	stack_t stack = {.ss_size = 64 << 10};

	saved.len = 0;
	if (is_string(tigetstr("kmous")))
		add_reset("\033[?1006l\033[?1003l\033[?1002l\033[?1000l");
	/* exit_attribute_mode, cursor_normal, keypad_local, exit_ca_mode */
	add_reset(tigetstr("sgr0"));
	add_reset(tigetstr("cnorm"));
	add_reset(tigetstr("rmkx"));
	add_reset(tigetstr("rmcup"));
	/* After a stack overflow the stack has no room for a handler. */
	saved.stack = stack.ss_sp = malloc(stack.ss_size);
	if (stack.ss_sp)
		sigaltstack(&stack, NULL);
	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		sigaction(crashes[i], &action, &saved.before[crashes[i]]);
}

static void forget_crashes(void)
{
	stack_t none = {.ss_flags = SS_DISABLE};

	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		sigaction(crashes[i], &saved.before[crashes[i]], NULL);
	sigaltstack(&none, NULL);
	free(saved.stack);
	saved.stack = NULL;
}

int mw_term__open(struct mw_tui *tui, struct mw_err *err)
{
	const char *term = getenv("TERM");

	saved.have_modes = !tcgetattr(STDIN_FILENO, &saved.modes);
	setlocale(LC_CTYPE, "");
	tui->screen = newterm(NULL, stdout, stdin);
	if (!tui->screen)
		return mw_err_set(err, -ENOTTY, "terminal", term ? "TERM" : NULL,
				  "this terminal is not known to terminfo; use `memwhere stat`");
	set_term(tui->screen);
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	set_escdelay(25);
	leaveok(stdscr, TRUE);
	mousemask(BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON1_DOUBLE_CLICKED | BUTTON4_PRESSED |
			  BUTTON5_PRESSED,
		  NULL);
	mouseinterval(0);
	/* Reading a key from a window would first draw it; a pad is never drawn. */
	tui->input = newpad(1, 1);
	if (!tui->input) {
		endwin();
		delscreen(tui->screen);
		return mw_err_no_memory(err, NULL);
	}
	keypad(tui->input, TRUE);
	nodelay(tui->input, TRUE);
	prepare_for_crashes();
	return 0;
}

void mw_term__close(struct mw_tui *tui)
{
	if (!tui->screen)
		return;
	mousemask(0, NULL);
	delwin(tui->input);
	endwin();
	forget_crashes();
	delscreen(tui->screen);
	tui->screen = tui->input = NULL;
}
