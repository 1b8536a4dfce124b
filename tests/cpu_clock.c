// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The CPU time of another process against what that says of itself when asked right afterwards,
 * which the kernel answers exactly: cpu_clock. Between questions it computes and calls nothing,
 * for the scheduler would bring its account up to date. Some of its threads have ended, one sleeps.
 * Says how many of 500 readings are right, by this clock and by the kernel's of the process.
 */
#include <bpf/libbpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "trace/cpu_clock.h"
#include "trace/pids.h"
#include "trace/programs.h"
#include "util/clock.h"

enum { READINGS = 500, ENDED = 3 };
/* Seconds: from the moment that is read to the answer of one who is interrupted. */
static const double SLACK = 100e-6;

/* Which question is asked, and which is answered: seconds of the process. */
struct talk {
	volatile uint32_t asked, answered;
	volatile double seconds;
};

static double clock_of(clockid_t clock)
{
	struct timespec used = {0};

	clock_gettime(clock, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void *answer(void *arg)
{
	struct talk *talk = arg;

	for (;;) {
		while (talk->asked == talk->answered)
			;
		talk->seconds = clock_of(CLOCK_PROCESS_CPUTIME_ID);
		talk->answered = talk->asked;
	}
	return NULL;
}

static void *end_soon(void *arg)
{
	while (clock_of(CLOCK_THREAD_CPUTIME_ID) < 0.1)
		;
	return arg;
}

static _Noreturn void compute(struct talk *talk)
{
	pthread_t thread;

	for (int i = 0; i < ENDED; i++) {
		if (!pthread_create(&thread, NULL, end_soon, NULL))
			pthread_join(thread, NULL);
	}
	pthread_create(&thread, NULL, answer, talk);
	for (;;)
		pause();
}

static double ask(struct talk *talk)
{
	talk->asked++;
	while (talk->answered != talk->asked)
		;
	return talk->seconds;
}

static int compare(struct talk *talk, const struct mw_cpu_clock *clock, clockid_t kernels)
{
	int exact = 0, coarse = 0;

	ask(talk);
	for (int i = 0; i < READINGS; i++) {
		double began, kernel, said, span;
		struct mw_cpu_use use;

		usleep((useconds_t)(500 + i * 7919 % 3000));
		began = mw_monotonic();
		if (!mw_cpu_clock__read(clock, &use))
			return 1;
		kernel = clock_of(kernels);
		said = ask(talk);
		span = mw_monotonic() - began + SLACK;
		exact += use.seconds < said + SLACK && use.seconds > said - span;
		coarse += kernel < said + SLACK && kernel > said - span;
	}
	printf("%d of %d readings are right, %d of the kernel's clock\n", exact, READINGS, coarse);
	return 0;
}

int main(void)
{
	struct mw_tracer_options options = {.mode = MW_MODE_GROWTH};
	struct talk *talk = mmap(NULL, sizeof(*talk), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct mw_cpu_clock *clock = NULL;
	struct memwhere_bpf *bpf;
	struct mw_err err = {0};
	struct mw_pids pids;
	clockid_t kernels;
	uint32_t ns, tgid;
	int ret = 1;
	pid_t pid;

	bpf = mw_programs__load(&options, false, &pids, &ns, &err);
	if (!bpf) {
		fprintf(stderr, "cpu_clock: %s\n", err.message);
		return 1;
	}
	pid = fork();
	if (!pid)
		compute(talk);
	if (!mw_pids__tgid(&pids, pid, &tgid))
		clock = mw_cpu_clock__open(bpf, pid, tgid);
	if (clock && !clock_getcpuclockid(pid, &kernels))
		ret = compare(talk, clock, kernels);
	else
		fprintf(stderr, "cpu_clock: this kernel has none\n");
	mw_cpu_clock__close(clock);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	memwhere_bpf__destroy(bpf);
	return ret;
}
