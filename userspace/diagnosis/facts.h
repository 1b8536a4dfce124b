/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of one target, as plain numbers: the input of a diagnosis. Surveys and a watch fill
 * it; tests write it down. All sizes are resident bytes unless said otherwise.
 */
#ifndef MW_DIAGNOSIS_FACTS_H
#define MW_DIAGNOSIS_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/family.h"
#include "ledger/survey.h"
#include "ledger/unshared.h"
#include "model/diff.h"
#include "model/live_bytes.h"
#include "model/looks.h"
#include "model/sample.h"
#include "model/series.h"
#include "model/suspects.h"
#include "util/err.h"

/* The plain shares of resident memory. Every owner of the ledger is in exactly one. */
enum mw_share {
	MW_SHARE_OBJECTS,     /* live Python objects with what they own */
	MW_SHARE_PYTHON_FREE, /* free, held by Python's allocator or in its free lists */
	MW_SHARE_HEAP_FREE,   /* free, held by the C library or another allocator */
	MW_SHARE_NATIVE,      /* C memory in use */
	MW_SHARE_RUNTIME,     /* the heap of the JVM, of V8, of Go */
	MW_SHARE_MAPPINGS,    /* private mappings that no allocator is known to have made */
	MW_SHARE_FILES,	      /* mapped files: programs, libraries, data */
	MW_SHARE_SHARED,      /* shared memory */
	MW_SHARE_STACKS,
	MW_SHARE_OVERHEAD, /* allocators' and interpreters' own */
	MW_SHARES
};

/* "your Python objects", ...: for people. */
const char *mw_share_name(enum mw_share share);
/* That of an owner of the ledger. */
enum mw_share mw_share_of(const char *owner);

enum {
	MW_FACT_TYPES = 8,
	MW_FACT_MAPS = 4,
	MW_FACT_SITES = 8,
	MW_FACT_HOLDERS = 8,
	MW_FACT_GROWN = 4,
	MW_FACT_NAME = 160
};

/* How much of the target is what, at one moment. */
struct mw_moment {
	uint64_t resident, swapped;
	uint64_t shares[MW_SHARES];
	uint64_t objects; /* live Python objects */
	/*
	 * Of MW_SHARE_FILES: the program and its libraries. Their pages come when they run and go
	 * when the kernel needs memory, up to the size of these files: that is no growth.
	 */
	uint64_t code;
};

/* The C library's heap, or another allocator's. */
struct mw_heap_facts {
	char allocator[24]; /* "glibc"; "": none was found */
	/* glibc's alone, up to THRESHOLD: */
	uint64_t arenas;
	uint64_t free, trim, thread_free, large_free, large_live, below_pin; /* ledger/reclaim.h */
	/* LARGE_FREE has the main arena's top, too, where that is large. */
	uint64_t pin, pin_size; /* address and bytes of the chunk above BELOW_PIN; 0: none */
	char pin_owner[MW_FACT_NAME];
	bool threshold_known, dynamic; /* of the mmap threshold; DYNAMIC: it moves by itself */
	uint64_t threshold;
	uint64_t leaked,
		leaked_blocks; /* bytes in blocks to which no word leads; 0: not looked for */
	/* Whole free pages that another allocator than the C library's keeps by its settings. */
	uint64_t cached;
	char keeper[24]; /* the one that keeps most of them */
	/* Why a heap that may be there is not read, for people; "": it is, or none is. */
	char unread[MW_FACT_NAME];
};

struct mw_fact_type {
	char name[MW_FACT_NAME];
	uint64_t count, bytes; /* bytes: with what they own, of address space */
};

/* A container, or what begins a structure, and the way to it. */
struct mw_fact_holder {
	char path[MW_FACT_NAME], type[96];
	uint64_t length;	  /* elements; 0: it has no length */
	double per_second;	  /* by which it grows; 0: not, or one look can't tell */
	int64_t retained;	  /* bytes that would go with it; -1: not known */
	char line[MW_FACT_NAME];  /* that makes it longer, as was seen; "": not known */
	uint64_t added, of_added; /* elements that LINE was seen to add, of how many */
	uint64_t addr;		  /* of the object */
	uint64_t grown; /* bytes of RETAINED that came since BEFORE; 0: none, or not known */
};

struct mw_fact_growth {
	char name[96];
	double per_second; /* objects of that type */
};

struct mw_python_facts {
	char version[32];			  /* "": no Python here */
	uint64_t arena_bytes;			  /* of address space */
	uint64_t free_blocks, free_pools;	  /* bytes: in pools that are in use; whole pools */
	uint64_t parked, parked_objects;	  /* bytes and objects in free lists */
	struct mw_fact_type types[MW_FACT_TYPES]; /* most bytes first */
	size_t type_count;
	struct mw_fact_holder holders[MW_FACT_HOLDERS]; /* what grows fastest, or retains most */
	struct mw_fact_growth grown[MW_FACT_GROWN];	/* fastest first */
	size_t holder_count, grown_count;
	uint64_t holders_above; /* bytes: all that retain more are among HOLDERS; 0: not known */
	/* Objects that refer to each other, and nothing to them; bytes that go with them. */
	uint64_t cycle_objects, cycle_bytes;
	uint64_t uncollectable; /* of them: Python 2 can't free them */
	double cycle_rate;	/* bytes a second by which those grow */
	bool cycle_rate_known;
	uint64_t young; /* objects in the collector's youngest generation; 0: not known */
};

/* Processes that were forked from one another; of them the one that FACTS are of, or all. */
struct mw_family_facts {
	size_t members;			   /* 0: not asked for */
	bool all;			   /* of a cgroup: FACTS are of all members together */
	size_t unread;			   /* of a cgroup: further ones, which could not be read */
	uint64_t resident, proportional;   /* sums of all: Rss, Pss */
	uint64_t own;			   /* of this one: what no other maps; or the sum of that */
	uint64_t own_shares[MW_SHARES];	   /* of that */
	uint64_t shared_shares[MW_SHARES]; /* ALL: what the one has that shares most */
	int origin;			   /* PID of what it was forked from; 0: that is this one */
	bool python;			   /* UNSHARED means something */
	struct mw_unshared unshared;	   /* ledger/unshared.h, compared with ORIGIN */
};

struct mw_fact_map {
	char name[MW_FACT_NAME]; /* "libfoo.so", "anonymous rw-p" */
	uint64_t bytes;
};

/* A line under suspicion in a watch. */
struct mw_fact_site {
	char label[MW_FACT_NAME];
	char text[512];
	char callers[200]; /* in C, of the functions in LABEL; "": not known */
	bool python;	   /* it asks Python's allocator */
	double bytes_per_second, confidence;
};

/* The blocks of the C library's, or of another allocator's, that become more, by their size. */
struct mw_fact_sizes {
	uint64_t from, to; /* bytes; 0: not known */
	double bytes_per_second, seconds;
};

/* What a watch says of lines, and of blocks. */
struct mw_site_facts {
	struct mw_fact_site list[MW_FACT_SITES]; /* under suspicion */
	size_t count;
	/*
	 * Who asked for most of what was not seen freed, BYTES_PER_SECOND of that, and what all
	 * lines asked for and was not. Between two windows much may be freed unseen: that is what
	 * the memory in use grew less by. No label: there is none.
	 */
	struct mw_fact_site keeper;
	double left;		     /* bytes a second */
	struct mw_fact_site toucher; /* who touched most new pages first; no label: too few */
	struct mw_fact_site mapper;  /* who asks the kernel for ever more; no label: nobody */
	struct mw_fact_sizes sizes;
};

struct mw_facts {
	char target[96];  /* "server (PID 12)", a core's path; clean */
	char earlier[96]; /* what BEFORE is of, where that is another image; clean */
	bool live;
	/* It ended while it was watched, before it could be looked at again: 0: it did not. */
	double ended;		 /* seconds after the first look */
	uint64_t ended_resident; /* what it had shortly before; 0: nobody saw it then */
	double seconds;		 /* between BEFORE and NOW; 0: there is one moment only */
	/*
	 * Nobody knows how long that was: SECONDS is 1, and all that is said to be "a second" is
	 * the whole change.
	 */
	bool undated;
	bool other_program; /* UNDATED, and BEFORE is of another program */
	bool has_later;
	double later_growth; /* of resident bytes, a second, in the second half of that */
	struct mw_moment before, now;
	/* Of a core, bytes: what of its memory is there and should be; fewer: it was cut short. */
	uint64_t present, promised;
	struct mw_heap_facts heap;
	struct mw_python_facts python;
	struct mw_family_facts family;
	struct mw_fact_map files[MW_FACT_MAPS], shared[MW_FACT_MAPS], mappings[MW_FACT_MAPS];
	char runtime[16]; /* whose heap MW_SHARE_RUNTIME is, as owners have it: "jvm"; "": none */
	uint64_t threads;
	struct mw_site_facts sites;
	bool watched;		/* sites were looked for */
	uint64_t threshold_was; /* where the threshold was when the watch saw it move; 0: it didn't
				 */
};

/*
 * Are more objects young than a collector leaves that is on? Its threshold is 700, or 2,000 from
 * 3.12 on (Modules/gcmodule.c, Python/gc.c of CPython).
 */
bool mw_facts__collector_lags(const struct mw_facts *facts);

enum { MW_PACE_BUF = 48 };
/* "12.0 MiB a minute", or, where nobody knows the time, "12.0 MiB"; returns BUF. */
char *mw_facts__pace(char buf[MW_PACE_BUF], const struct mw_facts *facts, double per_second);

/*
 * What has grown in the first half of the time only has ended: a start, a cache that is full. RSS:
 * resident bytes in the second half, two moments or more. What goes on by steps has more at its
 * end; what goes on beside a peak that ends has a rising median.
 */
void mw_facts__set_later(struct mw_facts *facts, const struct mw_series *rss);

/* All shares into ORDER, those with most bytes first. */
void mw_moment__rank(const struct mw_moment *moment, enum mw_share order[MW_SHARES]);

/*
 * What a watch has found until NOW: its SUSPECTS, those that ask the kernel (GROWING, fastest
 * first), and all sites in GROUPS (NULL: none are known).
 */
void mw_site_facts__of(struct mw_site_facts *facts, const struct mw_suspect *suspects, size_t count,
		       const struct mw_suspect *growing, size_t growing_count,
		       const struct mw_label_groups *groups, const struct mw_sample *now);

/* The sizes that grew between the first and the last of LIVE's looks at malloc's blocks. */
void mw_site_facts__add_sizes(struct mw_site_facts *facts, const struct mw_live_bytes *live);

/* What LEDGER and CENSUS (NULL: no Python) say of one moment. */
void mw_moment__of(struct mw_moment *moment, const struct mw_ledger *ledger,
		   const struct mw_py_census *census);

/*
 * All that SURVEY shows, into FACTS, as its moment NOW. LEDGER is the survey's. 0 or -ENOMEM with
 * ERR set.
 */
int mw_facts__survey(struct mw_facts *facts, struct mw_survey *survey,
		     const struct mw_ledger *ledger, struct mw_err *err);

/*
 * After mw_facts__survey() of a process: what it shares with the others of FAMILY. From then on the
 * pages that it shares don't count as resident in SURVEY. 0, or -errno with ERR set.
 */
int mw_facts__add_family(struct mw_facts *facts, struct mw_survey *survey,
			 const struct mw_family *family, struct mw_err *err);

/*
 * To SUM, of a cgroup: ONE of its processes, after mw_facts__add_family(). Memory that several map
 * is taken to be the same memory, which holds where they were forked from one another.
 */
void mw_facts__add_member(struct mw_facts *sum, const struct mw_facts *one);

/*
 * What a watch's looks show: types that grow, and, unless the references say who holds them,
 * containers.
 */
void mw_facts__add_looks(struct mw_facts *facts, const struct mw_look_growth *growth);

/*
 * FACTS, of the same process SECONDS after BEFORE, become what changed meanwhile. Holders that both
 * have grew by what they retain more.
 */
void mw_facts__since(struct mw_facts *facts, const struct mw_facts *before, double seconds);

/* Do the references say who holds most of the objects that came? */
bool mw_facts__knows_holder(const struct mw_facts *facts);

/*
 * After mw_facts__survey() of two images, and mw_facts__add_graph(): FACTS, of the later one,
 * become what changed since BEFORE. Holders and types are those that grew by DIFF.
 */
void mw_facts__compare(struct mw_facts *facts, const struct mw_facts *before,
		       const struct mw_diff *diff);

/*
 * After mw_facts__survey(): what retains most, by all references in SURVEY, and, where its memory
 * stands still or the collector lags, what nothing refers to. Takes seconds for gigabytes. 0 or
 * -ENOMEM with ERR set; nothing where Python's objects are not known, or of a process that runs on
 * with more than 10 million of them.
 */
int mw_facts__add_graph(struct mw_facts *facts, struct mw_survey *survey, struct mw_err *err);

#endif
