/* The protocol of csrc/base/slot_word.h and hot_swap.cc: readers pin and release, a writer swaps and rolls back, a
 * reclaimer empties what has ended. `atomic` marks what is one machine instruction there (or is done under a lock).
 *
 *   spin -a slot.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan -m100000
 *
 * Checked in every interleaving: a pinned version is never emptied (no use after free), none is emptied twice or while
 * it is current or kept, and when all is quiet only the current and the kept version are left (no leak).
 * -DKEEP=0 is the slot that keeps no version for rollback. */
#ifndef READERS
#define READERS 2
#endif
#ifndef SWAPS
#define SWAPS 2
#endif
#ifndef PINS
#define PINS 2 /* of each reader */
#endif
#ifndef KEEP
#define KEEP 1
#endif
#define SLOTS 4    /* max_live */
#define CURRENT 64 /* the bias: more than all pins together */
#define NONE 255

byte word_slot, word_count; /* the word: never touched but together */
short balance[SLOTS];
bool occupied[SLOTS]; /* holds a version */
bool retired[SLOTS];  /* the way to the reclaimer */
byte previous = NONE;
byte inside[SLOTS]; /* readers that use it, and */
byte busy;          /* processes at work: not of the protocol, for the assertions */

inline acquire(slot) {
  atomic { /* fetch_add */
    slot = word_slot;
    word_count++
  }
}

inline retire(slot) {
  atomic { /* fetch_or */
    assert(!retired[slot]);
    retired[slot] = true
  }
}

inline release(slot) {
  atomic { /* fetch_sub */
    before = balance[slot];
    balance[slot] = before - 1
  }
  if
  :: before == 1 -> retire(slot)
  :: else
  fi
}

proctype reader() {
  byte slot, i;
  short before;
  for (i : 1 .. PINS) {
    acquire(slot);
    inside[slot]++;
    assert(occupied[slot]);
    inside[slot]--;
    release(slot)
  }
  busy--
}

inline become_current(next) {
  if
  :: KEEP -> acquire(kept)
  :: else
  fi;
  atomic { /* fetch_add */
    balance[next] = balance[next] + CURRENT
  }
  atomic { /* exchange */
    ended = word_slot;
    handed = word_count - CURRENT;
    word_slot = next;
    word_count = 0
  }
  atomic { /* fetch_add */
    before = balance[ended];
    balance[ended] = before + handed
  }
  if
  :: before == -handed -> retire(ended)
  :: else
  fi;
  older = previous;
  previous = kept;
  if
  :: older != NONE -> release(older)
  :: else
  fi
}

inline take_free(slot) {
  atomic {
    if /* waits where none is free */
    :: !occupied[0] -> slot = 0
    :: occupied[0] && !occupied[1] -> slot = 1
    :: occupied[0] && occupied[1] && !occupied[2] -> slot = 2
    :: occupied[0] && occupied[1] && occupied[2] && !occupied[3] -> slot = 3
    fi;
    assert(balance[slot] == 0);
    occupied[slot] = true
  }
}

proctype writer() {
  byte next, ended, older, i, kept = NONE;
  short handed, before;
  for (i : 1 .. SWAPS) {
    if
    :: take_free(next)
    :: previous != NONE -> next = previous /* roll back */
    fi;
    become_current(next)
  }
  busy--
}

inline reclaim(slot) {
  atomic { /* exchange, then empty() */
    retired[slot] -> retired[slot] = false;
    assert(occupied[slot]);
    assert(inside[slot] == 0);
    assert(slot != word_slot && slot != previous);
    assert(balance[slot] == 0);
    occupied[slot] = false
  }
}

proctype reclaimer() {
  byte slot;
  do
  :: reclaim(0)
  :: reclaim(1)
  :: reclaim(2)
  :: reclaim(3)
  :: atomic {
       busy == 0 && !retired[0] && !retired[1] && !retired[2] && !retired[3] ->
       for (slot : 0 .. SLOTS - 1) {
         assert(occupied[slot] == (slot == word_slot || slot == previous))
       }
       break
     }
  od
}

init {
  byte i;
  atomic {
    occupied[0] = true;
    balance[0] = CURRENT;
    busy = READERS + 1;
    for (i : 1 .. READERS) {
      run reader()
    }
    run writer();
    run reclaimer()
  }
}
