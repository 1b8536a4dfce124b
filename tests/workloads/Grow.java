// SPDX-License-Identifier: GPL-2.0-or-later
import java.util.*;

/* Keeps 10 MiB a second on the JVM's own heap. */
public class Grow {
	public static void main(String[] args) throws Exception {
		List<byte[]> kept = new ArrayList<>();
		System.out.println("ready");
		for (;;) {
			kept.add(new byte[100_000]);
			Thread.sleep(10);
		}
	}
}
